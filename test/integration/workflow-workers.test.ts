/** Workers that come and go while migrations run. Its own worker, since it stops it. */
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { makeLog } from '../../workers/log.js';
import { startWorkers } from '../../workers/run.js';
import { Lab } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

describe('a worker', () => {
  it('lets no row, secret or stack of an error into a history', async () => {
    const error = Object.assign(new Error('duplicate key: row was {"email":"eve@example.com"}'), {
      detail: 'Key (email)=(eve@example.com) already exists.',
      url: 'postgres://godwit:hunter2@db/shop',
    });
    const migration = await lab.migrate({}, (model) => {
      model.break('claim', error);
      model.fail(
        'prepareSchema',
        'SchemaMismatch',
        'could not use postgres://godwit:hunter2@db/shop\nDETAIL: Key (id)=(row-of-eve)',
      );
    });
    await migration.reaches('needs-attention');
    const child = lab.client.workflow.getHandle(`${migration.id}/database/orders/replicationSetup/1`);
    const histories = await Promise.all([migration.handle.fetchHistory(), child.fetchHistory()]);
    const text = histories.map(asText).join();
    expect(text).toContain('could not use postgres://***@db/shop');
    expect(text).toContain('"source":{"env":"SOURCE"}');
    for (const secret of ['hunter2', 'eve@example.com', 'row-of-eve', 'model-databases.ts'])
      expect(text).not.toContain(secret);
    await migration.send('abort');
    await migration.result();
  });

  it('tells its health and its figures when it is asked to', async () => {
    const workers = await startWorkers({
      address: inject('temporalAddress'),
      queues: [`health-${process.pid}`],
      activities: lab.model('none').activities,
      listen: '0',
      log: makeLog('silent'),
    });
    const of = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${workers.port}${path}`)).text();
    expect(await of('/healthz')).toBe('ok\n');
    expect(await of('/metrics')).toContain('godwit_activities_running');
    await workers.stop();
    await expect(of('/healthz')).rejects.toThrow();
  });
});

describe('a worker that stops', () => {
  it('in the middle of a copy gives it up at once, and the next worker goes on', async () => {
    let reached = Promise.resolve();
    const migration = await lab.migrate({ gates: [] }, (model) => void ({ reached } = model.hold('copyRanges')));
    await reached;
    await lab.stopWorkers();
    await lab.startWorkers();
    expect((await migration.result()).state).toBe('migrated');
    expect(migration.model.count('copyRanges')).toBe(2);
    const { messages } = await migration.status();
    expect(messages).toEqual([]);
  });

  it('while a gate waits loses nothing: the migration is replayed and asks for the same', async () => {
    const migration = await lab.migrate();
    const before = await migration.reachesGate('switch');
    await lab.stopWorkers();
    await migration.signal('approve', { gate: 'switch', confirm: 'move-shop', by: 'ana' });
    await lab.startWorkers();
    await migration.reachesGate('finalize');
    const after = await migration.status();
    expect(after.undoLog.slice(0, 5)).toEqual(before.undoLog);
    await migration.send('abort');
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });
});

/** Payloads are bytes, which JSON shows in base64; what is in them counts. */
function asText(history: History): string {
  return JSON.stringify(history).replace(/"data":"([^"]+)"/g, (_, data: string) =>
    Buffer.from(data, 'base64').toString(),
  );
}
