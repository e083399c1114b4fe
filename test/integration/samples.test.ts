/**
 * Databases as strangers have them go there, back and there again for good, while clients of their own kind write all the
 * time. `SAMPLE_SCALE=50` makes them as many times larger.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { planDatabase } from '../../activities/plan/database.js';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { SampleClients } from '../../lab/samples/clients.js';
import { runPgbench, transactionsIn } from '../../lab/samples/pgbench.js';
import { SAMPLES, type SampleName } from '../../lab/samples/samples.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { catalogOf } from '../support/catalog.js';
import { READ_ONLY, refusalOf } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { find, repair } from '../support/preflight.js';
import { inputOf } from '../support/switching.js';
import { digestOf, prepareReplication } from '../support/sync.js';

const SCALE = Number(process.env['SAMPLE_SCALE'] ?? 1);

/** The second of the servers that the clients know. */
const TARGET = 1;

/** Transactions between two moments of a migration: enough that each kind of them is among them often. */
const SOME = 100;

let pair: ServerPair;
let folder: string;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  folder = await mkdtemp(join(tmpdir(), 'godwit-samples-'));
  await chmod(folder, 0o755);
});
afterAll(async () => {
  await pair?.destroy();
  await rm(folder, { recursive: true, force: true });
});

/** The sample on the source, nothing on the target; answers the database's name. */
async function made(sample: SampleName): Promise<string> {
  const name = fresh(sample);
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await SAMPLES[sample].fill(pair.source.url(name), SCALE);
  return name;
}

async function expectReady(move: DatabaseMove): Promise<void> {
  const { findings } = await planDatabase(move);
  expect(findings.filter(({ severity, id }) => severity === 'error' || id === 'check-failed')).toEqual([]);
}

const REPLICATION = /^(publication|subscription|slot|origin) /;

/**
 * The whole way of a sample in the database of `move`, under its clients, and all that must be so afterwards. Answers how many transactions they made.
 * @param write is refused where it must be
 * @param others stops whoever else writes
 */
async function thereAndBack(
  sample: SampleName,
  move: DatabaseMove,
  write: string,
  others: () => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  const { name } = move.database;
  const original = await catalogOf(pair.source, name);
  const clients = SampleClients.start(SAMPLES[sample], [pair.source.url(name), pair.target.url(name)]);
  const proven = async (): Promise<void> => {
    await clients.progress(SOME);
    expect(await validate(move)).toMatchObject({ verdict: 'equal', differences: 0 });
  };
  try {
    await clients.progress(SOME);
    await prepareReplication(move);
    await initialSync(move);
    await catchUp(move);
    await proven();
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await proven();
    await undoSwitch(move);
    await proven();
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await clients.progress(SOME);
  } finally {
    await Promise.all([clients.stop(), others()]);
  }
  // Its marker passes after all that was written.
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  expect(await digestOf(pair.source, name)).toEqual(await digestOf(pair.target, name));
  expect(await clients.report(TARGET)).toMatchObject({ lost: [], broken: [], unexpected: [], handovers: 3 });

  await finalizeDatabase(move);
  expect(await catalogOf(pair.target, name)).toEqual(original);
  expect((await catalogOf(pair.source, name)).filter((line) => REPLICATION.test(line))).toEqual([]);
  expect(await refusalOf(pair.target.query(write, [], name))).toBeUndefined();
  expect(await refusalOf(pair.source.query(write, [], name))).toBe(READ_ONLY);
  return clients.acknowledged;
}

/** The program itself, again and again, since it can't be told to stop and still count. */
class RepeatedPgbench {
  static readonly size = 200;
  processed = 0;
  #stopping = false;
  readonly #running: Promise<void>;

  constructor(readonly url: string) {
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  /** Fails when a transaction of any run failed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const output = await runPgbench(this.url, ['-n', '-c', '2', '-t', String(RepeatedPgbench.size / 2)]);
      expect(output).toContain(`actually processed: ${RepeatedPgbench.size}/${RepeatedPgbench.size}`);
      expect(output).toContain('number of failed transactions: 0 (');
      this.processed += RepeatedPgbench.size;
    }
  }
}

test('a film rental, with its circle of foreign keys, types, triggers and monthly payments, goes there and back', async () => {
  const name = await made('rental');
  const move = moveOf(pair, name);
  await expectReady(move);
  await thereAndBack('rental', move, 'select rental.bring_back()');
  // Filled by the copy, and since then nobody's but the owner's; the clients' payments are of a later month.
  const sales = `select * from rental.sales where month < '2026-01-01' order by store_id, month`;
  expect(await pair.target.query(sales, [], name)).toEqual(await pair.source.query(sales, [], name));
});

test('a time series in partitions of two levels goes there and back, and no reading is missing', async () => {
  const move = moveOf(pair, await made('telemetry'));
  await expectReady(move);
  await thereAndBack('telemetry', move, `select telemetry.ingest('one more', 1, 1)`);
});

test('pgbench goes there and back, and one that runs behind PgBouncer all the while sees no transaction fail', async () => {
  const name = await made('pgbench');
  const pooler = await PgBouncer.start({
    folder: join(folder, 'pgbouncer'),
    databases: { [name]: { host: '127.0.0.1', port: pair.source.port, dbname: name } },
  });
  try {
    const variable = `TEST_PGBENCH_ADMIN_${process.pid}`;
    process.env[variable] = pooler.adminUrl;
    const endpoints: NormalDatabase['endpoints'] = [
      {
        kind: 'pgbouncer',
        name: 'pgbouncer',
        admin: { env: variable },
        database: name,
        configFile: pooler.configFile,
        hosts: { source: null, target: null },
      },
    ];
    const move = moveOf(pair, name, { endpoints });
    // Its history has no key. A user is told so, and what to do.
    const finding = await find(move, 'no-replica-identity');
    expect(finding).toMatchObject({
      severity: 'error',
      evidence: expect.stringContaining('pgbench_history') as string,
    });
    expect(await repair(finding, pair.source, name)).toEqual([
      'ALTER TABLE public.pgbench_history REPLICA IDENTITY FULL',
    ]);
    await expectReady(move);

    const before = await transactionsIn(pair.source.url(name));
    const pgbench = new RepeatedPgbench(pooler.url(name));
    const acknowledged = await thereAndBack('pgbench', move, 'update pgbench_branches set bbalance = bbalance', () =>
      pgbench.stop(),
    );
    expect(pgbench.processed).toBeGreaterThan(RepeatedPgbench.size);
    expect((await transactionsIn(pair.target.url(name))) - before).toBe(pgbench.processed + acknowledged);
  } finally {
    await pooler.destroy();
  }
});
