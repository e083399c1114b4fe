/** Records the histories that replay.test.ts replays. Collected only when asked: `GODWIT_RECORD=1` (vitest.config.ts). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finding } from '../support/model-reconciliation.js';
import { ReconciliationLab } from '../support/reconciliations.js';
import { gate, Lab, RULED, type Migration } from '../support/migrations.js';
import { saveHistory } from './histories.js';

const WATCHED = { for: 3_600_000, every: 50, validateEvery: 100, onFailure: 'hold' } as const;
const watched = { databases: [{ name: 'orders', watch: WATCHED }] };

describe('recording', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.start();
  });
  afterAll(async () => {
    await lab.stop();
  });

  const save = (name: string, migration: Migration): Promise<void> =>
    saveHistory(name, lab.client.workflow.getHandle(migration.id));

  it('there, back, there again and done', async () => {
    const migration = await lab.migrate({ databases: [{ name: 'orders', watch: { ...WATCHED, for: 200 } }] });
    await migration.reachesGate('switch');
    await migration.send('rehearse');
    await migration.until('figures', ({ units }) => units[0]?.rehearsal !== null);
    await migration.approve('switch');
    await migration.reachesGate('finalize');
    await migration.send('rollback');
    await migration.reaches('rolled-back');
    await migration.send('switch');
    await migration.reachesGate('switch');
    await migration.approve('switch');
    await migration.reachesGate('finalize');
    await migration.approve('finalize');
    expect((await migration.result()).state).toBe('migrated');
    await save('migration-there-and-back', migration);
    const child = (phase: string, turn: number): Promise<void> =>
      saveHistory(`phase-${phase}`, lab.client.workflow.getHandle(`${migration.id}/database/orders/${phase}/${turn}`));
    await child('replicationSetup', 1);
    await child('initialSync', 2);
    await child('validation', 3);
    await child('cutover', 4);
  });

  it('two databases, an attempt that undid itself, one that fails, a retry', async () => {
    const databases = [{ name: 'orders' }, { name: 'billing', dependsOn: ['database/orders'] as const }];
    const migration = await lab.migrate(
      {
        gates: [gate('switch:database/billing')],
        databases: databases.map((one) => ({ ...one, dependsOn: [...(one.dependsOn ?? [])] })),
      },
      (model) => {
        model.notNow('a transaction held a lock', 1);
        model.fail('claim', 'ScopeTaken', 'migration other has shop.orders');
      },
    );
    await migration.reaches('needs-attention');
    await migration.send('retry');
    await migration.reachesGate('switch:database/billing');
    await migration.approve('switch:database/billing');
    expect((await migration.result()).state).toBe('migrated');
    await save('migration-two-databases', migration);
  });

  it('paused and resumed in the copy, a setting changed, aborted inside the switch', async () => {
    let copying = Promise.resolve();
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate({ gates: [] }, (model) => {
      ({ reached: copying } = model.hold('copyRanges'));
      lever = model.hold('switchWrites');
    });
    await copying;
    await migration.send('pause');
    await migration.reaches('paused');
    await migration.send('set', { path: 'databases.orders.copy.parallelism', value: 4 });
    await migration.send('resume');
    await lever.reached;
    await migration.send('abort');
    lever.release();
    expect((await migration.result()).state).toBe('undone');
    await save('migration-aborted-in-switch', migration);
  });

  it('paused and resumed twice in one phase', async () => {
    const holds: { reached: Promise<void>; release: () => void }[] = [];
    const migration = await lab.migrate({ gates: [] }, (model) => {
      for (let call = 0; call < 3; call += 1) holds.push(model.hold('copyRanges'));
    });
    for (const { reached } of holds.slice(0, 2)) {
      await reached;
      await migration.send('pause');
      await migration.send('resume');
    }
    for (const { release } of holds) release();
    expect((await migration.result()).state).toBe('migrated');
    await save('migration-paused-twice', migration);
  });

  it('a copy that is paused while the holder keeps its snapshot, and given more copiers', async () => {
    let copying = Promise.resolve();
    const migration = await lab.migrate({}, (model) => void ({ reached: copying } = model.hold('copyRanges')));
    await copying;
    await migration.send('pause');
    await migration.reaches('paused');
    await migration.send('set', { path: 'databases.orders.copy.parallelism', value: 4 });
    await migration.send('resume');
    await migration.reachesGate('switch');
    const phase = `${migration.id}/database/orders/initialSync/2`;
    await saveHistory('phase-initialSync-with-holder', lab.client.workflow.getHandle(phase));
    await migration.send('abort');
    await migration.result();
  });

  it('cancelled while watching, with an undo that fails, and brought back', async () => {
    const migration = await lab.migrate({ gates: [], ...watched }, (model) =>
      model.fail('undoFence', 'PermissionDenied', 'must be owner'),
    );
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.handle.cancel();
    await expect(migration.result()).rejects.toThrow();
    await save('migration-undo-failed', migration);
    const again = await lab.startAs(migration.id, { carry: await migration.state(), then: 'abort' });
    expect((await again.result()).state).toBe('undone');
    await save('migration-brought-back', again);
  });

  it('held while watching, well again, rolled back and aborted', async () => {
    const migration = await lab.migrate(
      { gates: [], ...watched },
      (model) => void (model.problems = ['no apply worker']),
    );
    await migration.reaches('needs-attention');
    migration.model.problems = [];
    await migration.reaches('running');
    await migration.send('rollback');
    await migration.reaches('rolled-back');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    await save('migration-held-in-watch', migration);
  });

  it('held by a rule of the user before the switch, and while watching', async () => {
    const broken = ['rule paid: 1 row on the source, where none should be (high)'];
    const migration = await lab.migrate(
      { gates: [], databases: [{ name: 'orders', watch: WATCHED, validation: RULED }] },
      (model) => void (model.brokenRules = broken),
    );
    await migration.reaches('needs-attention');
    migration.model.brokenRules = [];
    await migration.send('retry');
    await migration.until('rules of the target', ({ units }) => units[0]?.certificate?.rules?.primary === 'target');
    migration.model.brokenRules = broken;
    await migration.reaches('needs-attention');
    const { children = 0 } = (await migration.state()).units[0] ?? {};
    const phase = `${migration.id}/database/orders/validation/${children}`;
    await saveHistory('phase-validation-with-rules', lab.client.workflow.getHandle(phase));
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    await save('migration-held-by-rules', migration);
  });
});

describe('recording reconciliations', () => {
  let lab: ReconciliationLab;
  beforeAll(async () => {
    lab = await ReconciliationLab.start();
  });
  afterAll(async () => {
    await lab.stop();
  });

  it('paused and resumed, a comparison that fails and is retried, then a repair', async () => {
    const { document, model } = await lab.reconciliation({ repair: { rules: [{ action: 'repair' }] } });
    model.found = [finding({ count: 3 })];
    model.mends = 3;
    const { reached } = model.hold('reconcile');
    const run = await lab.start({ document, level: 'quick' });
    await reached;
    model.fail('reconcile', 'PermissionDenied', 'the role may not read shop.orders');
    await run.send('pause');
    await run.reaches('paused');
    await run.send('resume');
    await run.reaches('needs-attention');
    await run.send('retry');
    expect(await run.result()).toMatchObject({ repaired: 3, remaining: 0 });
    await saveHistory('reconciliation-repaired', run.handle);
  });

  it('aborted while it compares', async () => {
    const { document, model } = await lab.reconciliation();
    const { reached } = model.hold('reconcile');
    const run = await lab.start({ document, scheduled: true });
    await reached;
    await run.send('abort');
    expect((await run.failure()).type).toBe('Aborted');
    await saveHistory('reconciliation-aborted', run.handle);
  });

  it('a repair, and its undo', async () => {
    const { document } = await lab.reconciliation();
    const repair = await lab.start({ document, run: 'the-run', what: 'all' }, 'repair');
    await repair.result();
    await saveHistory('repair', repair.handle);
    const undo = await lab.start({ document, repair: 'the-repair' }, 'repairUndo');
    await undo.result();
    await saveHistory('repair-undo', undo.handle);
  });
});
