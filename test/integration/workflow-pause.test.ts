/** Pause, everywhere: no new step begins, what is long stops and goes on later, and time stands still. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityName } from '../../activities/contract.js';
import { Lab, NO_GATES } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

describe.concurrent('pause', () => {
  const stopped: ActivityName[] = [
    'normalize',
    'preflightDatabase',
    'planDatabase',
    'claim',
    'prepareSchema',
    'installFence',
    'createPublication',
    'copyRanges',
    'finishSync',
    'catchUp',
    'validate',
    'finalizeDatabase',
  ];
  for (const activity of stopped) {
    it(`during ${activity} stops it, and resume starts it again`, async () => {
      let reached = Promise.resolve();
      const migration = await lab.migrate(NO_GATES, (model) => void ({ reached } = model.hold(activity)));
      await reached;
      await migration.send('pause', { by: 'ana' });
      await migration.reaches('paused');
      await migration.until('its end', () => migration.model.running(activity) === 0);
      const calls = migration.model.calls.length;
      await migration.until('the pause holds', ({ state }) => state === 'paused');
      expect(migration.model.calls).toHaveLength(calls);
      await migration.send('resume');
      expect((await migration.result()).state).toBe('migrated');
      expect(migration.model.count(activity)).toBeGreaterThanOrEqual(2);
      expect(migration.model.broken).toEqual([]);
    });
  }

  it('inside a switch lets it complete, and holds right after it', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate(NO_GATES, (model) => void (lever = model.hold('switchWrites')));
    await lever.reached;
    await migration.send('pause');
    lever.release();
    await migration.until('the switch', () => migration.model.primaries[0] === 'target');
    await migration.reaches('paused');
    expect(migration.model.count('observe')).toBe(0);
    await migration.send('resume');
    expect((await migration.result()).state).toBe('migrated');
  });

  it('stops the clock of the watch and of the wait between attempts', async () => {
    const watch = { for: 6_000, every: 1_000, validateEvery: null, onFailure: 'hold' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.send('pause');
    await migration.reaches('paused');
    const { watched } = (await migration.state()).units[0] ?? {};
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await migration.state()).units[0]?.watched).toBe(watched);
    expect((await migration.status()).stage).toBe('watch');
    await migration.send('resume');
    expect((await migration.result()).state).toBe('migrated');
  });

  it('while waiting for approvals holds even when all of them are given', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    await migration.send('pause');
    await migration.approve('switch');
    await migration.reaches('paused');
    expect(migration.model.count('switchWrites')).toBe(0);
    await migration.send('resume');
    await migration.reachesGate('finalize');
    await migration.send('abort');
    await migration.result();
  });

  it('while undoing holds between two steps of it, and resume goes on', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate({}, (model) => void (lever = model.hold('undoPublication')));
    await migration.reachesGate('switch');
    await migration.send('abort');
    await lever.reached;
    await migration.send('pause');
    lever.release();
    await migration.until(
      'one more undone',
      ({ undoLog }) => undoLog.filter(({ state }) => state === 'done').length === 2,
    );
    expect((await migration.status()).state).toBe('paused');
    expect(migration.model.count('undoFence')).toBe(0);
    await migration.send('resume');
    expect((await migration.result()).state).toBe('undone');
  });

  it('while rolling back holds between two attempts', async () => {
    const watch = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    const enough = migration.model.notNow('a transaction of 40 s held a lock', Infinity);
    await migration.send('rollback');
    await migration.until('an attempt back', () => migration.model.count('switchWrites') > 1);
    await migration.send('pause');
    await migration.reaches('paused');
    enough();
    await migration.send('resume');
    await migration.reaches('rolled-back');
    await migration.send('abort');
    await migration.result();
  });

  it('and resume, one right after the other, reach a phase in their order, however often', async () => {
    const holds: { reached: Promise<void>; release: () => void }[] = [];
    const migration = await lab.migrate(NO_GATES, (model) => {
      for (let call = 0; call <= 15; call += 1) holds.push(model.hold('copyRanges'));
    });
    await holds[0]?.reached;
    for (let time = 0; time < 15; time += 1) {
      await migration.send('pause');
      await migration.send('resume');
    }
    for (const { release } of holds) release();
    expect((await migration.result()).state).toBe('migrated');
  });

  it('makes a copy start again with new limits when they are set', async () => {
    let reached = Promise.resolve();
    const migration = await lab.migrate(NO_GATES, (model) => void ({ reached } = model.hold('copyRanges')));
    await reached;
    await migration.send('set', { path: 'databases.orders.copy.rateLimit', value: '1MB' });
    expect((await migration.result()).state).toBe('migrated');
    const limits = migration.model.calls
      .filter(({ activity }) => activity === 'copyRanges')
      .map(({ input }) => JSON.stringify(input));
    expect(limits).toHaveLength(2);
    expect(limits[0]).toContain('"rateLimit":null');
    expect(limits[1]).not.toContain('"rateLimit":null');
  });
});
