/** The way of a migration: forward through its stages, back, and forward again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../spec/findings.js';
import { gate, Lab, NO_GATES, RULED } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

const LONG_WATCH = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;

describe.concurrent('a migration', () => {
  it('goes through its stages, and asks before the switch and before the end', async () => {
    const migration = await lab.migrate();
    const atSwitch = await migration.reachesGate('switch');
    expect(atSwitch.state).toBe('awaiting-approval');
    expect(atSwitch.units[0]).toMatchObject({
      primary: 'source',
      sync: { rows: 30 },
      certificate: { verdict: 'equal' },
    });
    expect(migration.model.count('switchWrites')).toBe(0);

    await migration.approve('switch');
    const atFinalize = await migration.reachesGate('finalize');
    expect(atFinalize.units[0]).toMatchObject({ primary: 'target', switches: [{ direction: 'forward', attempt: 1 }] });
    expect(migration.model.primaries).toEqual(['target']);

    await migration.approve('finalize');
    expect(await migration.result()).toEqual({ state: 'migrated', migration: migration.id, name: 'move-shop' });
    expect((await migration.status()).state).toBe('migrated');
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
    const found = await lab.client.workflow.getHandle(migration.id).describe();
    expect(found.searchAttributes).toMatchObject({ GodwitState: ['migrated'], GodwitStage: ['finalize'] });
  });

  it('moves the writes back and forward again, as often as wished, and asks anew each time', async () => {
    const migration = await lab.migrate({ databases: [{ name: 'orders', watch: LONG_WATCH }] });
    for (const turn of [1, 2]) {
      await migration.reachesGate('switch');
      await migration.approve('switch', `person ${turn}`);
      await migration.until('the switch', ({ stage }) => stage === 'watch');
      expect(migration.model.primaries).toEqual(['target']);

      await migration.send('rollback', { by: 'ana', reason: 'latency' });
      const back = await migration.reaches('rolled-back');
      expect(migration.model.primaries).toEqual(['source']);
      expect(back.units[0]?.switches).toHaveLength(2 * turn);
      expect(back.gates.map(({ state }) => state)).toEqual(['not-reached', 'not-reached']);

      await migration.send('switch');
    }
    await migration.reachesGate('switch');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
  });

  it('has the views of the side that takes the writes refreshed, waits for none, and tells what stays stale', async () => {
    let done = (): void => undefined;
    const migration = await lab.migrate(
      { ...NO_GATES, databases: [{ name: 'orders', watch: LONG_WATCH }] },
      (model) => {
        model.staleViews = ['public.totals: mover may not refresh it'];
        model.refreshing = new Promise<void>((resolve) => (done = resolve));
      },
    );
    // The watch begins, and looks, while the refresh still lasts.
    const watching = await migration.until('a look', ({ stage, units }) => stage === 'watch' && units[0]?.lagMs === 3);
    expect(watching.reason).toBeNull();
    await expect.poll(() => migration.model.refreshed).toEqual(['target']);
    done();
    const told = await migration.until('the note', ({ reason }) => reason !== null);
    expect(told.state).toBe('running');
    expect(told.reason).toBe(
      'database/orders: materialized views of the target could not be refreshed after the switch: public.totals: mover may not refresh it',
    );

    migration.model.staleViews = [];
    await migration.send('rollback');
    await migration.reaches('rolled-back');
    await expect.poll(() => migration.model.refreshed).toEqual(['target', 'source']);
    await migration.send('switch');
    await migration.until('the switch', ({ stage }) => stage === 'watch');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    // After an undo as well, though the migration has ended by then.
    await expect.poll(() => migration.model.refreshed).toEqual(['target', 'source', 'target', 'source']);
  });

  it('moves databases in the order of their dependencies, and moves all of them back or none', async () => {
    const migration = await lab.migrate({
      ...NO_GATES,
      databases: [
        { name: 'billing', dependsOn: ['database/orders'], watch: LONG_WATCH },
        { name: 'orders', watch: LONG_WATCH },
        { name: 'carts', dependsOn: ['database/orders'], watch: LONG_WATCH },
      ],
    });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    const forward = migration.model.order.filter((call) => call.startsWith('switchWrites'));
    expect(forward[0]).toBe('switchWrites orders');
    expect(new Set(forward.slice(1))).toEqual(new Set(['switchWrites billing', 'switchWrites carts']));

    await migration.send('rollback');
    await migration.reaches('rolled-back');
    const back = migration.model.order.filter((call) => call.startsWith('switchWrites')).slice(3);
    expect(back.at(-1)).toBe('switchWrites orders');
    expect(back).toHaveLength(3);
    expect(migration.model.primaries).toEqual(['source', 'source', 'source']);
    await migration.send('abort');
    await migration.result();
  });

  it('rolled back in the middle of several switches takes back what was switched and begins no other', async () => {
    const migration = await lab.migrate(
      {
        ...NO_GATES,
        databases: [{ name: 'orders' }, { name: 'billing', dependsOn: ['database/orders'] }],
      },
      (model) => void model.fail('switchWrites', 'NoWayBack', 'the old source would not take changes', 1, 'billing'),
    );
    const held = await migration.reaches('needs-attention');
    expect(held.units.map(({ unit, primary }) => `${unit} ${primary}`)).toEqual([
      'database/orders target',
      'database/billing source',
    ]);
    await migration.send('rollback');
    await migration.reaches('rolled-back');
    expect(migration.model.primaries).toEqual(['source', 'source']);
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });

  it('tries a switch that undid itself again, and says why', async () => {
    const migration = await lab.migrate(NO_GATES, (model) => model.notNow('a transaction of 40 s held a lock', 2));
    await migration.result();
    const { units } = await migration.status();
    expect(units[0]?.switches).toMatchObject([{ attempt: 3 }]);
  });

  it('asks a person when all attempts undid themselves, and counts on when told to retry', async () => {
    const migration = await lab.migrate(NO_GATES, (model) => model.notNow('the lag is 9 s', 3));
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem).toMatchObject({ type: 'Blocked' });
    expect(held.reason).toContain('the lag is 9 s');
    await migration.send('retry');
    await migration.result();
    expect((await migration.status()).units[0]?.switches).toMatchObject([{ attempt: 4 }]);
  });

  it('waits for its window before an attempt, until a person opens it', async () => {
    const tomorrow = (new Date().getUTCDay() + 2) % 7;
    const cutover = {
      maxPause: 5_000,
      maxLag: 5_000,
      attempts: 3,
      waitBetweenAttempts: 20,
      window: { days: [tomorrow], from: 60, to: 120 },
    };
    const migration = await lab.migrate({ ...NO_GATES, databases: [{ name: 'orders', cutover }] });
    await migration.until('the window', ({ reason }) => reason?.includes('waits for its window') === true);
    expect(migration.model.count('switchWrites')).toBe(0);
    await migration.send('set', { path: 'databases.orders.cutover.window', value: null });
    expect((await migration.result()).state).toBe('migrated');
  });

  it('rehearses while it waits for the gate, and says what the pause would be', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    await migration.send('rehearse', { by: 'ana' });
    const { units, messages } = await migration.until('the figures', (status) => status.units[0]?.rehearsal !== null);
    expect(units[0]?.rehearsal?.pauseMs).toBe(25);
    expect(messages.at(-1)?.outcome).toBe('accepted; database/orders rehearsed: writes paused for 25 ms');
    expect(migration.model.primaries).toEqual(['source']);
    await migration.send('abort');
    await migration.result();
  });

  it('settles the database when a rehearsal died half-way', async () => {
    const migration = await lab.migrate({}, (model) =>
      model.fail('switchWrites', 'AuthorityLost', 'another attempt acts'),
    );
    await migration.reachesGate('switch');
    await migration.send('rehearse');
    await migration.until(
      'its end',
      ({ messages }) => messages.at(-1)?.outcome.includes('another attempt acts') === true,
    );
    expect(migration.model.count('settle')).toBe(1);
    await migration.approve('switch');
    await migration.reachesGate('finalize');
    await migration.send('abort');
    await migration.result();
  });

  it('holds when a unit gate of its own is not approved, while another unit switches', async () => {
    const gates = [gate('switch:database/billing')];
    const migration = await lab.migrate({ gates, databases: [{ name: 'orders' }, { name: 'billing' }] });
    await migration.until('orders switched', ({ units }) => units[0]?.primary === 'target');
    const waiting = await migration.reachesGate('switch:database/billing');
    expect(waiting.units[1]?.primary).toBe('source');
    await migration.approve('switch:database/billing');
    expect((await migration.result()).state).toBe('migrated');
  });
});

describe.concurrent('preflight and plan', () => {
  const wrong: Finding = {
    id: 'wal-level',
    severity: 'error',
    unit: 'database/orders',
    side: 'source',
    title: 'wal_level is replica',
    evidence: '',
    repair: [],
  };

  it('hold a migration at their errors before anything changes, and look again on retry', async () => {
    const migration = await lab.migrate({}, (model) => model.findings.push(wrong));
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('wal_level is replica');
    expect(held.findings).toEqual([wrong]);
    expect(migration.model.count('claim')).toBe(0);
    migration.model.findings.length = 0;
    await migration.send('retry');
    await migration.reachesGate('switch');
    await migration.send('abort');
    await migration.result();
  });

  it('hold a migration whose plan is not the one that was read', async () => {
    const id = `bound-${Date.now()}`;
    const migration = await lab.startAs(id, { document: { marks: id }, planDigest: 'sha256:other' });
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('the plan that was approved is sha256:other');
    await migration.send('abort');
    await migration.result();
  });

  it('a document that is no migration fails at once, with the words of the check', async () => {
    const migration = await lab.migrate({}, (model) =>
      model.fail('normalize', 'InvalidSpec', 'spec.databases.orders.source: expected a secret reference'),
    );
    await expect(migration.result()).rejects.toMatchObject({
      cause: { type: 'InvalidSpec', message: 'spec.databases.orders.source: expected a secret reference' },
    });
    expect((await migration.status()).state).toBe('failed');
  });
});

describe.concurrent('the watch', () => {
  const watching = { gates: [], databases: [{ name: 'orders', watch: LONG_WATCH }] };

  it('holds when replication back breaks, and goes on by itself once it is well', async () => {
    const migration = await lab.migrate(watching, (model) => void (model.problems = ['no apply worker runs']));
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('no apply worker runs');
    migration.model.problems = [];
    await migration.reaches('running');
    await migration.send('abort');
    await migration.result();
  });

  it('moves the writes back when the specification says undo', async () => {
    const migration = await lab.migrate(
      { gates: [], databases: [{ name: 'orders', watch: { ...LONG_WATCH, onFailure: 'undo' } }] },
      (model) => void (model.problems = ['an apply error repeats']),
    );
    const back = await migration.reaches('rolled-back');
    expect(back.messages).toMatchObject([
      { name: 'rollback', by: 'watch.onFailure', reason: 'an apply error repeats' },
    ]);
    await migration.send('abort');
    await migration.result();
  });

  it('counts no time in which nothing could be seen', async () => {
    const watch = { for: 60, every: 20, validateEvery: null, onFailure: 'hold' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] }, (model) =>
      model.fail('observe', 'AuthenticationFailed', 'the password is wrong', 1_000_000),
    );
    await migration.until('blindness', ({ reason }) => reason?.includes("doesn't count as watched") === true);
    await migration.until('ten looks', () => migration.model.count('observe') > 10);
    expect((await migration.status()).stage).toBe('watch');
    await migration.send('abort');
    await migration.result();
  });

  it('validates at its own rhythm, holds at a difference, and validates again on retry', async () => {
    const watch = { ...LONG_WATCH, validateEvery: 40, onFailure: 'undo' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] });
    await migration.until('the second validation', () => migration.model.count('validate') >= 2);
    migration.model.verdict = 'different';
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem?.type).toBe('ValidationDiffers');
    migration.model.verdict = 'equal';
    await migration.send('retry');
    await migration.reaches('running');
    await migration.send('abort');
    await migration.result();
  });
});

describe.concurrent('rules of the user', () => {
  it('hold a migration before its switch while one is broken or proves nothing, and let it go once all hold', async () => {
    const migration = await lab.migrate({ databases: [{ name: 'orders', validation: RULED }] }, (model) => {
      model.brokenRules = ['rule paid: 3 rows on the source, where none should be (high)'];
    });
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem).toMatchObject({
      type: 'ValidationDiffers',
      message: 'rules of your own are broken: rule paid: 3 rows on the source, where none should be (high)',
      next: expect.stringContaining('retry') as string,
    });
    expect(held.units[0]?.certificate).toMatchObject({ verdict: 'equal', rules: { asked: 1, held: 0 } });
    migration.model.brokenRules = [];
    migration.model.rulesNotAsked = ['rule paid on the source: permission denied'];
    await migration.send('retry');
    const unproven = await migration.until('no evidence', ({ reason }) => reason?.includes('proves nothing') === true);
    expect(unproven.units[0]?.problem).toMatchObject({ type: 'ValidationDiffers' });
    migration.model.rulesNotAsked = [];
    await migration.send('set', { path: 'databases.orders.validation.ruleTimeout', value: '5m' });
    await migration.send('retry');
    const ready = await migration.reachesGate('switch');
    expect(ready.units[0]?.certificate?.rules).toMatchObject({ asked: 1, held: 1, primary: 'source', lsn: '0/2' });
    expect(migration.model.count('checkRules')).toBe(3);

    // days may pass until somebody approves
    migration.model.brokenRules = ['rule paid: 1 row on the source, where none should be (high)'];
    await migration.approve('switch');
    const late = await migration.reaches('needs-attention');
    expect(late.units[0]?.problem).toMatchObject({
      type: 'ValidationDiffers',
      message: 'rules of your own are broken: rule paid: 1 row on the source, where none should be (high)',
    });
    expect(migration.model.count('switchWrites')).toBe(0);
    migration.model.brokenRules = [];
    await migration.send('retry');
    await migration.until('the switch', () => migration.model.count('switchWrites') === 1);
    await migration.send('abort');
    await migration.result();
  });

  it('are asked while watching: one that is broken holds, whatever onFailure says; one that proves nothing is said', async () => {
    const watch = { ...LONG_WATCH, validateEvery: 40, onFailure: 'undo' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch, validation: RULED }] });
    await migration.until('rules of the target', ({ units }) => units[0]?.certificate?.rules?.primary === 'target');
    migration.model.rulesNotAsked = ['rule paid on the target: it took too long'];
    const noted = await migration.until('a note', ({ reason }) => reason?.includes('it took too long') === true);
    expect([noted.state, noted.units[0]?.problem]).toEqual(['running', null]);
    migration.model.rulesNotAsked = [];
    migration.model.brokenRules = ['rule paid: 1 row on the target, where none should be (high)'];
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem).toMatchObject({ type: 'ValidationDiffers' });
    migration.model.brokenRules = [];
    await migration.send('retry');
    await migration.reaches('running');
    expect(migration.model.primaries).toEqual(['target']);
    await migration.send('abort');
    await migration.result();
  });

  it('are not asked where there are none, nor while rows differ', async () => {
    const bare = await lab.migrate();
    await bare.reachesGate('switch');
    expect(bare.model.count('checkRules')).toBe(0);
    await bare.send('abort');
    await bare.result();
    const different = await lab.migrate({ databases: [{ name: 'orders', validation: RULED }] }, (model) => {
      model.verdict = 'different';
    });
    await different.reaches('needs-attention');
    expect(different.model.count('checkRules')).toBe(0);
    await different.send('abort');
    await different.result();
  });
});
