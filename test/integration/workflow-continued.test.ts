/** What goes on: in a new run, after a termination, with another worker, and phases that run alone. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate, Lab, Migration } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

const WATCHED = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;

describe.concurrent('continue-as-new', () => {
  it('in the watch keeps figures, messages, undo log, approvals and the way back', async () => {
    const migration = await lab.migrate({ databases: [{ name: 'orders', watch: WATCHED }] });
    await migration.reachesGate('switch');
    await migration.approve('switch', 'ana');
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.approve('finalize', 'ben');
    const before = await migration.status();
    const first = (await migration.handle.describe()).runId;
    await migration.fillHistory();
    const looks = migration.model.count('observe');
    await migration.untilFact('a new run', async () => (await migration.handle.describe()).runId !== first, 60_000);
    await migration.until('it watches on', () => migration.model.count('observe') > looks + 1);

    const after = await migration.status();
    expect(after).toMatchObject({
      stage: 'watch',
      planDigest: before.planDigest,
      startedAt: before.startedAt,
      gates: before.gates,
      undoLog: before.undoLog,
      messages: before.messages,
      units: [{ primary: 'target', switches: before.units[0]?.switches, certificate: before.units[0]?.certificate }],
    });
    await migration.send('rollback');
    await migration.reaches('rolled-back');
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });
});

describe.concurrent('a terminated migration', () => {
  it('is brought back to move its writes back, and then forward again', async () => {
    const migration = await lab.migrate({ gates: [], databases: [{ name: 'orders', watch: WATCHED }] });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await migration.handle.terminate('somebody slipped');
    const carry = await migration.state();

    const again = await lab.startAs(migration.id, { carry, then: 'rollback' });
    await again.reaches('rolled-back');
    expect(migration.model.count('settle')).toBeGreaterThanOrEqual(1);
    expect(migration.model.primaries).toEqual(['source']);
    await again.send('switch');
    await again.until('watch', ({ stage }) => stage === 'watch');
    expect(migration.model.primaries).toEqual(['target']);
    await again.send('abort');
    expect((await again.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
  });

  it('in the middle of a switch is settled and undone', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate({ gates: [] }, (model) => void (lever = model.hold('switchWrites')));
    await lever.reached;
    await migration.handle.terminate('somebody slipped');
    const carry = await migration.state();
    lever.release();
    const again = await lab.startAs(migration.id, { carry, then: 'abort' });
    expect((await again.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
    expect(migration.model.broken).toEqual([]);
  });

  it('can not be rolled back when nothing was switched, nor brought back from something else', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    await migration.handle.terminate('somebody slipped');
    const carry = await migration.state();
    const wrong = await lab.startAs(migration.id, { carry, then: 'rollback' });
    await expect(wrong.result()).rejects.toMatchObject({ cause: { type: 'InvalidSpec' } });
    const garbage = await lab.startAs(migration.id, { carry: { version: 77 }, then: 'abort' });
    await expect(garbage.result()).rejects.toMatchObject({ cause: { type: 'InvalidSpec' } });
    const again = await lab.startAs(migration.id, { carry, then: 'abort' });
    expect((await again.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });
});

describe.concurrent('a phase alone', () => {
  const start = async (type: string, input: object): Promise<{ id: string; result: Promise<unknown> }> => {
    const id = `alone-${randomUUID().slice(0, 8)}`;
    const document = { gates: [], marks: id };
    const handle = await lab.client.workflow.start(type, {
      workflowId: id,
      taskQueue: lab.queues.light,
      args: [{ document, ...input }],
    });
    return { id, result: handle.result() };
  };

  it('does its part, on the objects of the migration that is named', async () => {
    const setUp = await start('replicationSetup', {});
    expect(await setUp.result).toEqual({ tables: 3, created: 3 });
    const migration = setUp.id;
    const document = { gates: [], marks: migration };
    expect(await (await start('initialSync', { document, migration })).result).toMatchObject({ sync: { rows: 30 } });
    expect(await (await start('validation', { document, migration })).result).toMatchObject({ verdict: 'equal' });
    expect(await (await start('cutover', { document, migration })).result).toMatchObject({ kind: 'switched' });
    expect(lab.model(migration).primaries).toEqual(['target']);
    expect(await (await start('rollback', { document, migration })).result).toMatchObject({
      figures: { direction: 'back' },
    });
    expect(lab.model(migration).primaries).toEqual(['source']);
    await (
      await start('finalize', { document, migration })
    ).result;
    expect(lab.model(migration).leftBehind).toEqual([]);
  });

  it('undoes what it did itself when it fails', async () => {
    const id = `alone-${randomUUID().slice(0, 8)}`;
    lab.model(id).fail('createPublication', 'PermissionDenied', 'must be superuser');
    const handle = await lab.client.workflow.start('replicationSetup', {
      workflowId: id,
      taskQueue: lab.queues.light,
      args: [{ document: { gates: [], marks: id } }],
    });
    await expect(handle.result()).rejects.toThrow();
    expect(lab.model(id).leftBehind).toEqual([]);
  });

  it('asks which unit is meant when there are several, and refuses input that is no document', async () => {
    const two = { databases: [{ name: 'orders' }, { name: 'carts' }], gates: [] };
    const { result } = await start('validation', { document: two });
    await expect(result).rejects.toMatchObject({ cause: { type: 'InvalidSpec' } });
    for (const type of ['validation', 'preflight', 'plan']) {
      const handle = await lab.client.workflow.start(type, {
        workflowId: `alone-${randomUUID()}`,
        taskQueue: lab.queues.light,
        args: ['nonsense'],
      });
      await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'InvalidSpec' } });
    }
  });

  it('waits for the gate of its stage, as in a migration', async () => {
    const id = `alone-${randomUUID().slice(0, 8)}`;
    const handle = await lab.client.workflow.start('finalize', {
      workflowId: id,
      taskQueue: lab.queues.light,
      args: [{ document: { gates: [gate('finalize')], marks: id } }],
    });
    const phase = new Migration(lab.client.workflow.getHandle(id), lab.model(id));
    await phase.reachesGate('finalize');
    await phase.approve('finalize');
    await handle.result();
    expect(lab.model(id).count('finalizeDatabase')).toBe(1);
  });

  it('preflight and plan answer what they found', async () => {
    expect(await (await start('preflight', {})).result).toEqual([]);
    expect(await (await start('plan', {})).result).toMatchObject({ version: 1, digest: 'sha256:model' });
  });
});
