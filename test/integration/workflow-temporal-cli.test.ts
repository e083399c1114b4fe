/** A migration driven with nothing but Temporal's own CLI. */
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { gate, Lab, Migration } from '../support/migrations.js';

let lab: Lab;
let folder: string;
beforeAll(async () => {
  lab = await Lab.start();
  folder = await mkdtemp(join(tmpdir(), 'godwit-cli-'));
});
afterAll(async () => {
  await lab.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = promisify(execFile);

async function temporal(...args: string[]): Promise<string> {
  const connection = ['--address', inject('temporalAddress'), '--disable-config-file', '--disable-config-env'];
  const { stdout } = await run(inject('temporalBinary'), [...args, ...connection]);
  return stdout;
}

async function start(): Promise<Migration> {
  const id = `cli-${randomUUID().slice(0, 8)}`;
  const watch = { for: 3_600_000, every: 50, validateEvery: null, onFailure: 'hold' };
  const document = { marks: id, gates: [gate('switch'), gate('finalize')], databases: [{ name: 'orders', watch }] };
  const file = join(folder, `${id}.json`);
  await writeFile(file, JSON.stringify(document));
  const input = ['--workflow-id', id, '--type', 'migration', '--task-queue', lab.queues.light, '--input-file', file];
  await temporal('workflow', 'start', ...input);
  return new Migration(lab.client.workflow.getHandle(id), lab.model(id));
}

const signal = (id: string, name: string, payload: unknown): Promise<string> =>
  temporal('workflow', 'signal', '--workflow-id', id, '--name', name, '--input', JSON.stringify(payload));

const update = (id: string, name: string, payload: unknown): Promise<string> =>
  temporal('workflow', 'update', 'execute', '--workflow-id', id, '--name', name, '--input', JSON.stringify(payload));

describe("Temporal's own CLI", () => {
  it('starts a migration, approves, rolls back, switches again and aborts, by signals alone', async () => {
    const migration = await start();
    await migration.reachesGate('switch');
    await signal(migration.id, 'approve', { gate: 'switch', confirm: 'move-shop', by: 'ana' });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await signal(migration.id, 'rollback', { by: 'ana', reason: 'latency' });
    await migration.reaches('rolled-back');
    await signal(migration.id, 'switch', {});
    await migration.reachesGate('switch');
    await signal(migration.id, 'approve', { gate: 'switch', confirm: 'move-shop', by: 'ana' });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    const status = await temporal('workflow', 'query', '--workflow-id', migration.id, '--type', 'status');
    expect(status).toContain('"stage":"watch"');
    await signal(migration.id, 'abort', {});
    expect((await migration.result()).state).toBe('undone');
    expect(migration.model.leftBehind).toEqual([]);
  });

  it('hears at once, by an update, why a message is refused', async () => {
    const migration = await start();
    await migration.reachesGate('switch');
    const refused = update(migration.id, 'approve', { gate: 'switch', confirm: 'yes' });
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining('move-shop') as string });
    await update(migration.id, 'abort', { by: 'ana' });
    expect((await migration.result()).state).toBe('undone');
  });
});
