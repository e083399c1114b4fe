/** Runs of a reconciliation: started by people, by schedules, paused, aborted, failed, and with repairs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { moduleCommand } from '../../lab/module-command.js';
import type { RepairSummary } from '../../spec/reconciliation.js';
import { finding } from '../support/model-reconciliation.js';
import { ReconciliationLab, untilFact } from '../support/reconciliations.js';

let lab: ReconciliationLab;
beforeAll(async () => {
  lab = await ReconciliationLab.start();
});
afterAll(async () => {
  await lab.stop();
});

const MENDS = { repair: { rules: [{ action: 'repair' as const }] } };

describe.concurrent('a run', () => {
  it('takes the document itself, and answers with figures', async () => {
    const { document, model, name } = await lab.reconciliation();
    const run = await lab.start(document);
    expect(await run.result()).toMatchObject({ reconciliation: name, level: 'comprehensive', verdict: 'equal' });
    expect(model.runs()).toMatchObject([{ level: 'comprehensive', full: false, scheduled: false }]);
    expect(model.runs()[0]?.run.startsWith(`${run.handle.workflowId}-`)).toBe(true);
    expect(model.repairs()).toEqual([]);
  });

  it('takes a level, and that all rows are wanted', async () => {
    const { document, model } = await lab.reconciliation();
    await (await lab.start({ document, level: 'quick', full: true })).result();
    expect(model.runs()).toMatchObject([{ level: 'quick', full: true }]);
  });

  it('has an id of its own under the same workflow id', async () => {
    const { document, model } = await lab.reconciliation();
    const first = await lab.start(document);
    await first.result();
    const again = await lab.client.workflow.start('reconciliation', {
      workflowId: first.handle.workflowId,
      taskQueue: lab.queues.light,
      args: [document],
    });
    await again.result();
    expect(new Set(model.runs().map(({ run }) => run)).size).toBe(2);
  });

  it('tells what it found, and its state can be searched for', async () => {
    const { document, model, name } = await lab.reconciliation();
    model.found = [finding({ count: 3 })];
    const run = await lab.start({ document, level: 'quick' });
    expect(await run.result()).toMatchObject({ verdict: 'different', remaining: 3 });
    const status = await run.status();
    expect(status).toMatchObject({
      name,
      state: 'done',
      units: [],
      reconciliation: { level: 'quick', step: 'comparing' },
    });
    expect(status.reconciliation?.summary?.remaining).toBe(3);
    const { typedSearchAttributes } = await run.handle.describe();
    const attributes = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(attributes).toMatchObject({ GodwitState: 'done', GodwitStage: 'quick' });
  });

  it('with a wrong document fails at once, and names the place', async () => {
    const { document } = await lab.reconciliation();
    const run = await lab.start({ document: { ...document, spec: { ...document.spec, level: 'deeper' } } });
    expect(await run.failure()).toMatchObject({
      type: 'InvalidSpec',
      message: expect.stringContaining('spec.level: expected quick, comprehensive, deep or business') as string,
    });
    expect((await run.status()).state).toBe('failed');
  });

  it('with a wrong input says what was expected', async () => {
    const { document } = await lab.reconciliation();
    expect((await (await lab.start({ document, level: 'slow' })).failure()).message).toContain('quick, comprehensive');
    expect((await (await lab.start([])).failure()).message).toContain('kind Reconciliation');
  });

  it('of a migration is refused', async () => {
    const run = await lab.start({ apiVersion: 'godwit.dev/v1alpha1', kind: 'Migration', metadata: { name: 'shop-x' } });
    expect((await run.failure()).message).toContain('expected Reconciliation, found Migration');
  });

  it('beside one that goes on is skipped, and says which that is', async () => {
    const { document, model } = await lab.reconciliation();
    model.going = 'the-other';
    model.found = [finding()];
    const summary = await (await lab.start(document)).result();
    expect(summary).toMatchObject({ outcome: 'skipped', why: 'the run the-other goes on', rows: 0 });
    expect(model.repairs()).toEqual([]);
  });
});

describe.concurrent('the operator', () => {
  it.each(['reconcile', 'repair'] as const)(
    'pauses and resumes during %s, which goes on as the same',
    async (activity) => {
      const { document, model } = await lab.reconciliation(MENDS);
      model.found = [finding()];
      const { reached } = model.hold(activity);
      const run = await lab.start(document);
      await reached;
      await run.send('pause', { by: 'ana' });
      await run.reaches('paused');
      await untilFact('its end', () => model.running === 0);
      const calls = model.calls.length;
      await run.reaches('paused');
      expect(model.calls).toHaveLength(calls);
      await run.send('resume');
      await run.result();
      const ids =
        activity === 'reconcile' ? model.runs().map(({ run: id }) => id) : model.repairs().map((one) => one.repair);
      expect(ids).toHaveLength(2);
      expect(new Set(ids).size).toBe(1);
    },
  );

  it('aborts, and nothing more is compared', async () => {
    const { document, model } = await lab.reconciliation(MENDS);
    model.found = [finding()];
    const { reached } = model.hold('reconcile');
    const run = await lab.start(document);
    await reached;
    await run.send('abort', { by: 'ana', reason: 'wrong file' });
    expect((await run.failure()).type).toBe('Aborted');
    expect((await run.status()).state).toBe('aborted');
    expect(model.repairs()).toEqual([]);
  });

  it("aborts by Temporal's Cancel, too, also while paused", async () => {
    const { document, model } = await lab.reconciliation();
    const { reached } = model.hold('reconcile');
    const run = await lab.start(document);
    await reached;
    await run.send('pause');
    await run.reaches('paused');
    await run.handle.cancel();
    expect((await run.failure()).type).toBe('Aborted');
    expect(model.running).toBe(0);
  });

  it('is refused what belongs to migrations', async () => {
    const { document, model } = await lab.reconciliation();
    const { reached, release } = model.hold('reconcile');
    const run = await lab.start(document);
    await reached;
    await expect(run.send('rollback')).rejects.toMatchObject({
      cause: { message: "a reconciliation doesn't take rollback" },
    });
    await expect(run.send('retry')).rejects.toMatchObject({ cause: { message: 'nothing needs attention' } });
    release();
    await run.result();
  });
});

describe.concurrent('a step that fails for good', () => {
  it('waits for a person who started the run, and goes on by retry', async () => {
    const { document, model } = await lab.reconciliation();
    model.fail('reconcile', 'PermissionDenied', 'the role may not read shop.orders');
    const run = await lab.start(document);
    const { reason } = await run.reaches('needs-attention');
    expect(reason).toContain('the role may not read shop.orders');
    expect(reason).toContain('`retry`; or `abort`');
    await run.send('retry');
    expect((await run.result()).verdict).toBe('equal');
  });

  it('ends a scheduled run as failed', async () => {
    const { document, model } = await lab.reconciliation();
    model.fail('reconcile', 'PermissionDenied', 'the role may not read shop.orders');
    const run = await lab.start({ document, scheduled: true });
    expect(await run.failure()).toEqual({ type: 'PermissionDenied', message: 'the role may not read shop.orders' });
    expect((await run.status()).state).toBe('failed');
  });
});

describe.concurrent('repair', () => {
  it('follows where a rule mends by itself, and is counted', async () => {
    const { document, model } = await lab.reconciliation(MENDS);
    model.found = [finding({ count: 3 }), finding({ kind: 'dangling', count: 2 })];
    model.mends = 3;
    const run = await lab.start(document);
    expect(await run.result()).toMatchObject({ verdict: 'different', repaired: 3, remaining: 2 });
    const [compared] = model.runs();
    expect(model.repairs()).toMatchObject([{ run: compared?.run, what: 'policy', deletions: false, by: null }]);
    expect((await run.status()).reconciliation).toMatchObject({
      step: 'repairing',
      repair: model.repairs()[0]?.repair,
    });
  });

  it.each([
    ['nothing was found', MENDS, []],
    ['no rule says so', {}, [finding()]],
    ['the rules are about other kinds', MENDS, [finding({ kind: 'extra' }), finding({ kind: 'drift' })]],
  ])('is left out where %s', async (_, spec, found) => {
    const { document, model } = await lab.reconciliation(spec);
    model.found = found;
    await (await lab.start(document)).result();
    expect(model.repairs()).toEqual([]);
  });

  it('by a person mends what a run has found, and is undone', async () => {
    const { document, model } = await lab.reconciliation();
    model.mends = 2;
    const repair = await lab.start<RepairSummary>(
      { document, run: 'r-1', what: 'all', deletions: true, by: 'ana' },
      'repair',
    );
    expect(await repair.result()).toMatchObject({ run: 'r-1', updated: 2 });
    expect(model.repairs()).toMatchObject([{ run: 'r-1', what: 'all', deletions: true, by: 'ana' }]);
    const input = { document, repair: model.repairs()[0]?.repair, by: 'ana' };
    const undo = await lab.start<RepairSummary>(input, 'repairUndo');
    expect(await undo.result()).toMatchObject({ outcome: 'undone', repair: input.repair });
  });

  it('asks for the run, and for something to mend', async () => {
    const { document } = await lab.reconciliation();
    expect((await (await lab.start({ document }, 'repair')).failure()).message).toContain('expected run');
    const wrong = await lab.start({ document, run: 'r', what: 'some' }, 'repair');
    expect((await wrong.failure()).message).toContain('policy, all, review');
    expect((await (await lab.start({ document }, 'repairUndo')).failure()).message).toContain('expected repair');
  });
});

describe('a worker that is killed when it begins to compare', () => {
  it('is followed by another, with the same run', async () => {
    const { document, model } = await lab.reconciliation();
    await lab.stopWorkers();
    const { light, bulk } = lab.queues;
    const { command, args } = moduleCommand(import.meta.url, '../support/dying-run');
    const doomed = spawn(command, [...args, light, bulk], {
      env: { ...process.env, TEMPORAL_ADDRESS: lab.address },
      stdio: 'ignore',
    });
    const died = once(doomed, 'exit');
    onTestFinished(() => void doomed.kill('SIGKILL'));
    const run = await lab.start(document);
    try {
      expect((await died)[1]).toBe('SIGKILL');
    } finally {
      await lab.startWorkers();
    }
    const { run: id } = await run.result();
    expect(id.startsWith(run.handle.workflowId)).toBe(true);
    expect(model.runs().map((one) => one.run)).toEqual([id]);
  });
});

describe('a worker that stops in the middle of a run', () => {
  it('is followed by another, which goes on with the same run', async () => {
    const { document, model } = await lab.reconciliation();
    const { reached } = model.hold('reconcile');
    const run = await lab.start(document);
    await reached;
    await lab.stopWorkers();
    await lab.startWorkers();
    expect((await run.result()).verdict).toBe('equal');
    expect(new Set(model.runs().map((one) => one.run)).size).toBe(1);
    expect((await run.status()).messages).toEqual([]);
  });
});
