/** What a new user does, on two real databases, by the command line alone: ten lines of YAML, a report, a repair, its undo. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { run } from '../../clients/command-line.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { captureTerminal } from '../support/terminal.js';

const own = randomUUID().slice(0, 8);
const taskQueue = `godwit-cli-${own}`;
let pair: ServerPair;
let workers: Workers;
let folder: string;
let database: string;
let name: string;
let file: string;

beforeAll(async () => {
  pair = await startPair();
  folder = await mkdtemp(join(tmpdir(), 'godwit-cli-'));
  workers = await startWorkers({
    address: inject('temporalAddress'),
    queues: [taskQueue, `${taskQueue}-bulk`],
    workflowQueue: taskQueue,
    log: makeLog('silent'),
    graceMs: 200,
  });
});

/** Each has a shop, and a reconciliation, that nobody has repaired before. */
beforeEach(async () => {
  database = fresh('cli_reconciled');
  name = fresh(`shop-${own}`).replaceAll('_', '-');
  for (const side of ['source', 'target'] as const) {
    await pair[side].createDatabase(database);
    await pair[side].query('create table customer (id int primary key, name text, phone text)', [], database);
    await pair[side].query(
      `insert into customer select n, 'customer ' || n, '+49 ' || n from generate_series(1, 1000) n`,
      [],
      database,
    );
  }
  await pair.target.query(`update customer set name = 'somebody else' where id = 7`, [], database);
  await pair.target.query(`delete from customer where id = 8`, [], database);
  process.env[`CLI_SOURCE_${own}`] = pair.source.url(database);
  process.env[`CLI_TARGET_${own}`] = pair.target.url(database);
  file = join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `apiVersion: godwit.dev/v1alpha1
kind: Reconciliation
metadata: { name: ${name} }
spec:
  source: { url: { env: CLI_SOURCE_${own} } }
  target: { url: { env: CLI_TARGET_${own} } }
  replication: { none: true }
  columns: { public.customer: { mask: [phone] } }
  taskQueue: ${taskQueue}
`,
  );
});

afterAll(async () => {
  await workers.stop();
  await Promise.all([pair.source.stop(), pair.target.stop()]);
  await rm(folder, { recursive: true, force: true });
});

async function cli(...words: string[]) {
  const terminal = captureTerminal({ env: { USER: 'ann@ops' } });
  const exitCode = await run([...words, '--address', inject('temporalAddress')], terminal);
  return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
}

const onQueue = ['--task-queue', taskQueue];

describe('a new user', () => {
  it('finds what differs, looks at it, repairs with a dry run first, certifies, and takes the repair back', async () => {
    const first = await cli('reconcile', file, '-o', 'json', ...onQueue);
    expect(first.exitCode).toBe(1);
    const { run: id, remaining } = JSON.parse(first.stdout) as { run: string; remaining: number };
    expect(remaining).toBe(2);

    // Lists of runs follow by a moment.
    const status = async () => (await cli('reconcile', 'status', file)).stdout;
    await expect.poll(status, { timeout: 60_000 }).toContain('public.customer');
    const listed = await cli('review', 'list', '-f', file, '-o', 'json');
    const items = JSON.parse(listed.stdout) as { id: number; kind: string }[];
    expect(items.map(({ kind }) => kind).sort()).toEqual(['changed', 'missing']);
    const changed = items.find(({ kind }) => kind === 'changed')?.id ?? 0;
    const shown = await cli('review', 'show', '-f', file, String(changed));
    expect(shown.stdout).toMatch(/name +customer 7 +somebody else/);
    expect(shown.stdout).not.toContain('+49 7');
    const decided = await cli('review', 'repair', '-f', file, String(changed), '--reason', 'the source is right');
    expect(decided.stdout).toContain('to be repaired  1 item');

    const dry = await cli('reconcile', 'repair', file, id, '--all', '--dry-run');
    expect(dry.stdout).toContain('-- public.customer on the target');
    expect(dry.stderr).toContain('2 rows would change; nothing was changed.');
    expect((await pair.target.query('select from customer', [], database)).length).toBe(999);

    const repaired = await cli('reconcile', 'repair', file, id, '--all', '--confirm', name, '-o', 'json', ...onQueue);
    expect(repaired.exitCode).toBe(0);
    const { repair, inserted, updated } = JSON.parse(repaired.stdout) as Record<string, unknown>;
    expect([inserted, updated]).toEqual([1, 1]);
    expect((await cli('reconcile', file, ...onQueue)).exitCode).toBe(0);

    const certificate = join(folder, 'certificate.json');
    await cli('reconcile', 'certificate', file, '-o', certificate);
    expect((await cli('reconcile', 'verify', certificate)).stdout).toContain('intact  equal');
    await writeFile(certificate, (await readFile(certificate, 'utf8')).replace('"equal"', '"different"'));
    expect((await cli('reconcile', 'verify', certificate)).exitCode).toBe(1);

    expect((await cli('reconcile', 'undo', file, String(repair), ...onQueue)).exitCode).toBe(0);
    expect((await cli('reconcile', file, ...onQueue)).exitCode).toBe(1);
  });

  it('is told in words when the databases can not be reached from here', async () => {
    const text = (await readFile(file, 'utf8')).replace(`CLI_TARGET_${own}`, 'NOWHERE_AT_ALL');
    const lost = join(folder, 'lost.yaml');
    await writeFile(lost, text);
    const { exitCode, stderr } = await cli('review', 'list', '-f', lost);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('NOWHERE_AT_ALL');
    expect(stderr).toContain('with the same secrets as a worker');
  });
});
