/** The whole story of docs/reconciliation.md, typed as a new user would: two real servers, ten lines of YAML, a worker. */
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { run } from '../../clients/command-line.js';
import type { RunSummary } from '../../spec/reconciliation.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';
import type { Outcome } from '../support/reconciliations.js';
import { captureTerminal } from '../support/terminal.js';

const address = inject('temporalAddress');
const queue = `story-${randomUUID().slice(0, 8)}`;
let pair: ServerPair;
let shop: Reconciled;
let workers: Workers;
let folder: string;
let file: string;
let name: string;

beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
  folder = await mkdtemp(join(tmpdir(), 'godwit-story-'));
  workers = await startWorkers({
    address,
    queues: [queue, `${queue}-bulk`],
    workflowQueue: queue,
    log: makeLog('silent'),
    graceMs: 200,
  });
});
beforeEach(async () => {
  shop = await Reconciled.start(pair, fresh('story'), {
    schema: `create table customer (id bigint primary key, name text not null, email text);
             create table purchase (id bigint primary key, customer bigint not null references customer, amount numeric not null)`,
    rows: `insert into customer select n, 'customer ' || n, 'c' || n || '@example.com' from generate_series(1, 100) n;
           insert into purchase select n, 1 + n % 100, n from generate_series(1, 2000) n`,
  });
  const { source, target } = shop.normal();
  name = `shop-${randomUUID().slice(0, 8)}`;
  file = join(folder, `${name}.yaml`);
  const example = await readFile(new URL('../../examples/reconciliation-minimal.yaml', import.meta.url), 'utf8');
  const filled = example
    .replace('name: shop', `name: ${name}`)
    .replace('{ env: SHOP_SOURCE_URL }', JSON.stringify(source.url))
    .replace('{ env: SHOP_TARGET_URL }', JSON.stringify(target.url));
  await writeFile(file, `${filled.trimEnd()}\n  taskQueue: ${queue}\n`);
});
afterAll(async () => {
  await workers.stop();
  await rm(folder, { recursive: true, force: true });
  await pair.destroy();
});

async function godwit(...words: string[]): Promise<Outcome> {
  const terminal = captureTerminal({ env: { USER: 'ann@ops', TEMPORAL_ADDRESS: address } });
  const exitCode = await run(words, terminal);
  return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
}

const started = ['--task-queue', queue];

async function reconciled(): Promise<RunSummary & { exitCode: number }> {
  const { exitCode, stdout } = await godwit('reconcile', file, '-o', 'json', ...started);
  return { ...(JSON.parse(stdout) as RunSummary), exitCode };
}

/** Without what tells when. */
async function items(): Promise<string[]> {
  const { stdout } = await godwit('review', 'list', '-f', file, '--all', '-o', 'json');
  const all = JSON.parse(stdout) as { table: string; kind: string; key: string[]; state: string }[];
  return all.map(({ table, kind, key, state }) => `${table} ${key.join()} ${kind} ${state}`);
}

async function idOf(key: string): Promise<string> {
  const { stdout } = await godwit('review', 'list', '-f', file, '-o', 'json');
  const found = (JSON.parse(stdout) as { id: string; key: string[] }[]).find((item) => item.key.join() === key);
  return found?.id ?? 'none';
}

const repairIn = ({ stdout }: Outcome): string => /\(repair (\S+)\)/.exec(stdout)?.[1] ?? 'none';

test('differences are found, shown, decided, mended, taken back, certified and forgotten', async () => {
  expect(await reconciled()).toMatchObject({ exitCode: 0, verdict: 'equal', rows: 2_100 });

  await shop.on(
    'target',
    `update purchase set amount = amount + 1 where id in (10, 20);
     delete from purchase where id in (40, 50);
     insert into customer (id, name) values (5000, 'nobody');
     update customer set name = 'Mallory' where id = 7`,
  );
  const found = await reconciled();
  expect(found).toMatchObject({ exitCode: 1, verdict: 'different', remaining: 6, queued: 6 });

  // the dry run changes nothing, and says what it would not do
  const dry = await godwit('reconcile', 'repair', file, found.run, '--all', '--dry-run');
  expect(dry.stdout).toContain(
    `UPDATE "public"."purchase" SET "amount" = '10' WHERE "id" = '10';  -- 10: changed; source is right`,
  );
  expect(dry.stderr).toContain('5 rows would change; nothing was changed.');
  expect(dry.stderr).toContain('1 row more would be deleted with --delete.');
  expect((await reconciled()).remaining).toBe(6);
  const wrong = await godwit('reconcile', 'repair', file, 'no-such-run', '--all', '--dry-run');
  expect(wrong.stderr).toContain(`${name} has no run no-such-run in this database`);

  // people decide
  const shown = await godwit('review', 'show', '-f', file, await idOf('7'));
  expect(shown.stdout).toMatch(/name +customer 7 +Mallory/);
  await godwit('review', 'accept', '-f', file, await idOf('7'), '--reason', 'agreed');
  await godwit('review', 'reject', '-f', file, await idOf('40'));
  await godwit('review', 'repair', '-f', file, await idOf('10'));
  const decided = await reconciled();
  const byReview = await godwit('reconcile', 'repair', file, decided.run, '--confirm', name, ...started);
  expect(byReview).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('1 updated') as string });
  expect(await items()).toEqual(
    expect.arrayContaining([
      'customer 7 changed accepted',
      'purchase 10 changed repaired',
      'purchase 40 missing rejected',
      'purchase 40 missing waiting',
    ]),
  );

  // all the rest but what was accepted, and back again
  const rest = await reconciled();
  const words = ['reconcile', 'repair', file, rest.run, '--all', '--delete', '--confirm', name, ...started];
  const mended = await godwit(...words);
  expect(mended.stdout).toContain('repaired  2 inserted, 1 updated, 1 deleted');
  // it still differs, and no schedule needs to alarm anybody
  expect(await reconciled()).toMatchObject({
    exitCode: 0,
    verdict: 'different',
    remaining: 0,
    accepted: 1,
    found: [{ kind: 'changed', table: 'customer', count: 1 }],
  });
  const told = await godwit('reconcile', 'status', file);
  expect(told.stdout).toContain('accepted  comprehensive');
  expect(told.stdout).toContain('1 finding accepted in the review');
  await shop.on('target', 'update purchase set amount = 1 where id = 20');
  const undone = await godwit('reconcile', 'undo', file, repairIn(mended), ...started);
  expect(undone).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('1 refused') as string });
  expect(undone.stdout).toContain('taken back  2 inserted, 0 updated, 1 deleted');

  // an accepted difference that became another one is asked about again
  await shop.on('target', `update customer set name = 'Trent' where id = 7`);
  const last = await reconciled();
  expect(last).toMatchObject({ exitCode: 1, accepted: 0 });
  expect((await items()).filter((line) => line.startsWith('customer 7'))).toEqual([
    'customer 7 changed accepted',
    'customer 7 changed waiting',
  ]);

  // the certificate of the last run
  const certificate = join(folder, 'certificate.json');
  await godwit('reconcile', 'certificate', file, last.run, '-o', certificate);
  expect((await godwit('reconcile', 'verify', certificate)).exitCode).toBe(0);
  await writeFile(certificate, (await readFile(certificate, 'utf8')).replace('"rows": 100', '"rows": 101'));
  expect((await godwit('reconcile', 'verify', certificate)).exitCode).toBe(1);

  // a schedule starts runs of its own
  expect((await godwit('schedule', 'create', file, '--paused', ...started)).exitCode).toBe(0);
  expect((await godwit('schedule', 'trigger', `${name}-quick`)).exitCode).toBe(0);
  await expect
    .poll(async () => (await godwit('schedule', 'show', `${name}-quick`)).stdout, { timeout: 60_000 })
    .toMatch(/different/);
  const levels = ['quick', 'comprehensive', 'deep', 'business'];
  await godwit('schedule', 'delete', ...levels.map((level) => `${name}-${level}`));
  await expect
    .poll(async () => (await godwit('schedule', 'list')).stdout, { timeout: 60_000 })
    .not.toContain(`${name}-`);

  expect((await godwit('reconcile', 'forget', file, '--confirm', name, ...started)).exitCode).toBe(0);
  expect(await shop.on('target', `select from pg_namespace where nspname = 'godwit'`)).toEqual([]);
});
