/** Abort, everywhere: the operator wins, and what remains is named. */
import { WorkflowFailedError } from '@temporalio/client';
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

const UNDOS = ['undoSwitch', 'undoInitialSync', 'undoPublication', 'undoFence', 'undoSchema', 'undoClaim'];

describe.concurrent('abort', () => {
  const before: ActivityName[] = [
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
  ];
  for (const activity of before) {
    it(`during ${activity} stops it and leaves nothing behind`, async () => {
      let reached = Promise.resolve();
      const migration = await lab.migrate(NO_GATES, (model) => void ({ reached } = model.hold(activity)));
      await reached;
      await migration.send('abort', { by: 'ana', reason: 'wrong day' });
      expect((await migration.result()).state).toBe('undone');
      expect(migration.model.leftBehind).toEqual([]);
      expect(migration.model.broken).toEqual([]);
      expect(migration.model.count('switchWrites')).toBe(0);
      const { messages } = await migration.status();
      expect(messages).toMatchObject([{ name: 'abort', by: 'ana', reason: 'wrong day', outcome: 'accepted' }]);
    });
  }

  it('inside a switch lets it complete, then moves the writes back and removes everything, last first', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate(NO_GATES, (model) => void (lever = model.hold('switchWrites')));
    await lever.reached;
    await migration.send('abort');
    const { messages, undoLog } = await migration.status();
    expect(messages).toMatchObject([{ name: 'abort', outcome: 'accepted' }]);
    expect(undoLog).toHaveLength(6);
    expect(migration.model.running('switchWrites')).toBe(1);
    lever.release();
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.order.slice(-6)).toEqual(UNDOS.map((undo) => `${undo} orders`));
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
  });

  it('while watching moves the writes back first', async () => {
    const watch = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.primaries).toEqual(['source']);
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
  });

  it('in the middle of a rollback goes on to undo everything', async () => {
    const watch = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch }] });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    migration.model.notNow('the source does not answer', 1_000_000);
    await migration.send('rollback');
    await migration.until('attempts back', () => migration.model.count('switchWrites') > 3);
    expect((await migration.status()).state).toBe('undoing');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.primaries).toEqual(['source']);
  });

  it('of a paused migration and of one that is rolled back or needs attention works as well', async () => {
    const paused = await lab.migrate();
    await paused.reachesGate('switch');
    await paused.send('pause');
    await paused.reaches('paused');
    await paused.send('abort');
    expect((await paused.result()).state).toBe('undone');

    const held = await lab.migrate(NO_GATES, (model) =>
      model.fail('claim', 'ScopeTaken', 'migration other has shop.orders'),
    );
    await held.reaches('needs-attention');
    await held.send('abort');
    expect((await held.result()).state).toBe('undone');
  });

  it("by Temporal's own Cancel is the same", async () => {
    let reached = Promise.resolve();
    const migration = await lab.migrate(NO_GATES, (model) => void ({ reached } = model.hold('copyRanges')));
    await reached;
    await migration.handle.cancel();
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
    expect((await migration.status()).messages).toMatchObject([{ name: 'abort', by: 'Temporal' }]);
  });

  it('is refused once finalize has begun', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate(NO_GATES, (model) => void (lever = model.hold('finalizeDatabase')));
    await lever.reached;
    expect(await migration.refused('abort')).toContain('no way back');
    expect(await migration.refused('rollback')).toContain('no way back');
    await migration.handle.cancel();
    lever.release();
    expect((await migration.result()).state).toBe('migrated');
  });
});

describe.concurrent('an undo that fails', () => {
  it('does not stop the others, and the workflow fails listing exactly what remains and how to finish', async () => {
    const migration = await lab.migrate({}, (model) =>
      model.fail('undoPublication', 'PermissionDenied', 'must be owner of publication'),
    );
    await migration.reachesGate('switch');
    await migration.send('abort');
    const failure = await migration.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    const said = failure instanceof WorkflowFailedError ? (failure.cause?.message ?? '') : '';
    expect(said).toContain('must be owner of publication');
    expect(said).toMatch(/drop publication if exists godwit_[0-9a-f]{12}/);
    expect(migration.model.leftBehind).toEqual([expect.stringMatching(/: publication$/)]);
    const { state, undoLog } = await migration.status();
    expect(state).toBe('failed');
    expect(undoLog.map((entry) => entry.state)).toEqual(['done', 'done', 'done', 'failed', 'done']);
  });

  it('leaves the fences of a database whose writes could not be moved back', async () => {
    const watch = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;
    const databases = [
      { name: 'orders', watch },
      { name: 'carts', watch },
    ];
    const migration = await lab.migrate({ gates: [], databases }, (model) =>
      model.fail('undoSwitch', 'NoWayBack', 'the source is gone', 1, 'orders'),
    );
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.send('abort');
    await expect(migration.result()).rejects.toThrow();
    expect(migration.model.count('undoFence', 'orders')).toBe(0);
    expect(migration.model.count('undoFence', 'carts')).toBe(1);
    expect(migration.model.broken).toEqual([]);
    const left = (await migration.status()).undoLog.filter(({ state }) => state === 'failed');
    expect(left.map(({ unit }) => unit)).toEqual(Array(6).fill('database/orders'));

    const again = await lab.startAs(migration.id, { carry: await migration.state(), then: 'abort' });
    expect((await again.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });

  it('is tried past its budget, which is said, and never a reason to stop', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate({ rollback: 3_000 }, (model) => void (lever = model.hold('undoFence')));
    await migration.reachesGate('switch');
    await migration.send('abort');
    await lever.reached;
    await migration.until('the budget', ({ reason }) => reason?.includes('takes longer than its budget') === true);
    lever.release();
    expect((await migration.result()).state).toBe('undone');
    const late = (await migration.status()).undoLog.find(({ activity }) => activity === 'undoFence');
    expect(late).toMatchObject({ state: 'done', overBudget: true });
  });
});
