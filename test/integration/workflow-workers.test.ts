/** Workers that come and go while migrations run. Its own worker, since it stops it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

describe('a worker that stops', () => {
  it('in the middle of a copy gives it up at once, and the next worker goes on', async () => {
    let reached = Promise.resolve();
    const migration = await lab.migrate({ gates: [] }, (model) => void ({ reached } = model.hold('initialSync')));
    await reached;
    await lab.stopWorkers();
    await lab.startWorkers();
    expect((await migration.result()).state).toBe('migrated');
    expect(migration.model.count('initialSync')).toBe(2);
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
