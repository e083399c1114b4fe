/**
 * Reconciliation of one large table on two servers that the user's own subscription keeps alike, side by side with what a user would
 * take instead: data-diff, and an md5 of everything. Then what the rest costs: a run after few rows have changed, runs under live load,
 * a sample, and a repair.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { reconcileUntil } from '../activities/reconciliation/reconcile.js';
import { repairUntil } from '../activities/reconciliation/repair.js';
import { dropStreams } from '../activities/reconciliation/streams.js';
import { dataDiffBinary } from '../lab/setup/data-diff.js';
import type { NormalReconciliation, RunSummary } from '../spec/reconciliation.js';
import { normalizeReconciliation } from '../spec/normalize-reconciliation.js';
import { startPair, type ServerPair } from '../test/support/postgres.js';
import { until } from '../test/support/sync.js';
import { COPY_SETTINGS } from './copy.js';
import { machine, spread, type Spread } from './figures.js';
import { bytesOf, makeLargeTable } from './large-table.js';
import { startLiveLoad } from './live-load.js';
import { INJECTED } from './validation.js';

const DATABASE = 'shop';
const SOURCE = 'BENCH_SOURCE';
const TARGET = 'BENCH_TARGET';
/** Per cent of the rows. */
const TOUCHED = 1;
const SAMPLES = [1, 5, 10];
const REPAIRED_ROWS = 10_000;
const LOAD_RATE = 1_300;
/** Milliseconds after which nobody counts as at work. */
const QUIET_MS = 200;
/** A slot is read from where its server last noted who was at work, every 15 s: changes of hours don't all come after that. */
const NOTED_MS = 16_000;
/** Milliseconds of load alone before each run: the machine is not the same all the time. */
const LOAD_ALONE_MS = 5_000;

const never = new AbortController().signal;

interface Contender {
  name: string;
  seconds: Spread;
  ratio: number;
  /** Of the kinds of injected differences; null: it says only that something differs. */
  found: number | null;
  of: number;
}

export interface ReconciliationBench {
  machine: string;
  rows: number;
  bytes: number;
  runs: number;
  contenders: Contender[];
  rowsPerSecond: Spread;
  invented: number;
  incremental: { what: string; seconds: Spread; share: number; rows: number }[];
  samples: { percent: number; seconds: Spread; verdict: string }[];
  repair: { rows: number; seconds: number; perSecond: number; equalAfterwards: boolean };
}

export interface LoadBench {
  machine: string;
  rows: number;
  rate: number;
  runs: number;
  falsePositives: number;
  missed: number;
  seconds: Spread;
  alone: Spread;
  beside: Spread;
}

/** Both servers with the table, replicating; whatever becomes of the work, they are gone afterwards. */
async function inWorld<R>(rows: number, work: (pair: ServerPair, folder: string) => Promise<R>): Promise<R> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-bench-'));
  await chmod(folder, 0o755);
  const pair = await startPair(COPY_SETTINGS);
  try {
    console.error(`… ${rows} rows`);
    await makeLargeTable(pair.source, DATABASE, rows);
    await subscribe(pair);
    process.env[SOURCE] = pair.source.url(DATABASE);
    process.env[TARGET] = pair.target.url(DATABASE);
    return await work(pair, folder);
  } finally {
    await pair.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs with default limits under live load. */
export async function benchReconciliationLoad({ runs, rows }: { runs: number; rows: number }): Promise<LoadBench> {
  return inWorld(rows, (pair, folder) => underLoad(pair, folder, runs, rows));
}

export async function benchReconciliation({
  runs,
  rows,
}: {
  runs: number;
  rows: number;
}): Promise<ReconciliationBench> {
  const dataDiff = await dataDiffBinary(
    (event) => void (event.state === 'started' && console.error(`… ${event.title}`)),
  );
  return inWorld(rows, async (pair) => ({
    // first, while the table is as it was loaded
    ...(await contenders(pair, dataDiff, runs, rows)),
    incremental: await incrementalRuns(pair, runs, rows),
    samples: await sampledRuns(pair, runs),
    repair: await repairs(pair, rows),
    machine: machine(),
    rows,
    bytes: (await bytesOf(pair.source, DATABASE)).table,
    runs,
  }));
}

async function subscribe(pair: ServerPair): Promise<void> {
  console.error('… the copy of a subscription');
  await pair.target.createDatabase(DATABASE);
  const program = (name: string): string => join(pair.source.binaries, name);
  const schema = await execa(program('pg_dump'), ['--schema-only', '-d', pair.source.url(DATABASE)]);
  await execa(program('psql'), ['-q', '-d', pair.target.url(DATABASE)], { input: schema.stdout });
  await pair.source.query('create publication shop for table public.orders', [], DATABASE);
  await pair.target.query(
    `create subscription shop connection '${pair.source.url(DATABASE)}' publication shop`,
    [],
    DATABASE,
  );
  await until(
    async () =>
      (await pair.target.query(`select from pg_subscription_rel where srsubstate <> 'r'`, [], DATABASE)).length === 0,
    'the subscription has copied the table',
    600_000,
  );
  for (const server of [pair.source, pair.target]) await server.query('vacuum analyze public.orders', [], DATABASE);
}

function normal(spec: Record<string, unknown> = {}): NormalReconciliation {
  const answer = normalizeReconciliation({
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Reconciliation',
    metadata: { name: 'shop' },
    spec: {
      source: { url: { env: SOURCE } },
      target: { url: { env: TARGET } },
      tables: { include: ['public.orders'] },
      ...spec,
    },
  });
  if (!answer.ok) throw new Error('the specification is wrong');
  return answer.normal;
}

async function run(spec: NormalReconciliation, full = true): Promise<{ seconds: number; summary: RunSummary }> {
  const began = performance.now();
  const summary = await reconcileUntil(
    { run: randomUUID(), workflow: 'bench', normal: spec, level: 'comprehensive', full, scheduled: false },
    never,
  );
  return { seconds: (performance.now() - began) / 1_000, summary };
}

async function incrementalRuns(
  pair: ServerPair,
  runs: number,
  rows: number,
): Promise<ReconciliationBench['incremental']> {
  const changed = Math.round((rows * TOUCHED) / 100);
  const newest = { rows: 'the newest ones', where: `id > ${rows - changed}` };
  const anywhere = { rows: 'all over the table', where: `id % ${Math.round(100 / TOUCHED)} = 3` };
  const changes = normal({ incremental: { by: 'changes' } });
  const column = normal({ incremental: { by: 'column', column: 'placed' } });
  const full: number[] = [];
  const found: ReconciliationBench['incremental'] = [];
  for (let i = 0; i <= runs; i += 1) {
    const whole = await run(changes);
    if (whole.summary.verdict !== 'equal') throw new Error('equal sides are not');
    if (i > 0) full.push(whole.seconds);
  }
  const medianOfFull = spread2(full).median;
  const series = async (spec: NormalReconciliation, how: string, which: typeof newest): Promise<void> => {
    const what = `${TOUCHED} % of the rows, ${which.rows}; by ${how}`;
    const seconds: number[] = [];
    let read = 0;
    for (let i = 0; i <= runs; i += 1) {
      const also = spec === column ? ', placed = clock_timestamp()' : '';
      await pair.source.query(
        `update public.orders set status = (status + 1) % 7${also} where ${which.where}`,
        [],
        DATABASE,
      );
      await caughtUp(pair);
      // whoever was at work a moment ago is spared
      await new Promise((resolve) => setTimeout(resolve, spec === changes ? NOTED_MS : QUIET_MS));
      const one = await run(spec, false);
      if (one.summary.verdict !== 'equal' || !one.summary.incremental) {
        throw new Error(`after ${what}: ${JSON.stringify(one.summary)}`);
      }
      read = one.summary.rows;
      console.error(`  all rows ${medianOfFull.toFixed(1)} s; after ${what} ${one.seconds.toFixed(2)} s`);
      if (i > 0) seconds.push(one.seconds);
    }
    const each = spread2(seconds);
    found.push({ what, seconds: each, share: round(each.median / medianOfFull), rows: read });
  };
  for (const which of [newest, anywhere]) await series(changes, 'change streams', which);
  await dropStreams(changes);
  for (const server of [pair.source, pair.target]) {
    await server.query('create index orders_by_time on public.orders (placed)', [], DATABASE);
  }
  await run(column);
  for (const which of [newest, anywhere]) await series(column, 'an indexed column', which);
  return [{ what: 'all rows', seconds: spread2(full), share: 1, rows }, ...found];
}

async function caughtUp(pair: ServerPair): Promise<void> {
  const [at] = await pair.source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  await until(
    async () =>
      (
        await pair.source.query(
          `select from pg_replication_slots where slot_name = 'shop' and confirmed_flush_lsn >= $1::pg_lsn`,
          [at?.lsn],
        )
      ).length === 1,
    'the subscription has caught up',
    300_000,
  );
}

async function sampledRuns(pair: ServerPair, runs: number): Promise<ReconciliationBench['samples']> {
  const figures: ReconciliationBench['samples'] = [];
  for (const percent of SAMPLES) {
    const spec = normal({ sample: { share: `${percent}%`, method: 'systematic', seed: 1, tables: ['public.orders'] } });
    const seconds: number[] = [];
    let verdict = '';
    for (let i = 0; i < runs; i += 1) {
      const one = await run(spec);
      seconds.push(one.seconds);
      verdict = await noteOf(pair, one.summary.run);
    }
    console.error(`  ${percent} %: ${spread2(seconds).median} s; ${verdict}`);
    figures.push({ percent, seconds: spread2(seconds), verdict });
  }
  return figures;
}

async function noteOf(pair: ServerPair, id: string): Promise<string> {
  const [row] = await pair.target.query<{ note: string }>(
    `select tables -> 0 ->> 'note' as note from godwit.reconciliation_run where run = $1`,
    [id],
    DATABASE,
  );
  return row?.note ?? '';
}

/** Runs with default limits while a load writes to the table; one row is made to differ, and nothing else may be found. */
async function underLoad(pair: ServerPair, folder: string, runs: number, rows: number): Promise<LoadBench> {
  const seconds: number[] = [];
  const spec = normal();
  // a row that the load leaves alone
  await pair.target.query(`update public.orders set note = 'corrupt' where id = ${rows}`, [], DATABASE);
  const load = await startLiveLoad(pair.source, DATABASE, folder, { rate: LOAD_RATE, rows: rows - 1 });
  try {
    const alone: { from: number; to: number }[] = [];
    const beside: { from: number; to: number }[] = [];
    let falsePositives = 0;
    let missed = 0;
    for (let i = 0; i < runs; i += 1) {
      const from = Date.now();
      await new Promise((resolve) => setTimeout(resolve, LOAD_ALONE_MS));
      alone.push({ from, to: Date.now() });
      const began = Date.now();
      const { summary } = await run(spec);
      beside.push({ from: began, to: Date.now() });
      seconds.push((Date.now() - began) / 1_000);
      const found = summary.found.reduce((sum, { count }) => sum + count, 0);
      falsePositives += Math.max(0, found - 1) + summary.suspects;
      missed += found === 0 ? 1 : 0;
      console.error(
        `  under load: ${((Date.now() - began) / 1_000).toFixed(1)} s, ${found} found, ${summary.late} late`,
      );
    }
    return {
      machine: machine(),
      rows,
      rate: LOAD_RATE,
      runs,
      seconds: spread(seconds),
      falsePositives,
      missed,
      alone: await load.within(alone),
      beside: await load.within(beside),
    };
  } finally {
    await load.stop();
  }
}

async function repairs(pair: ServerPair, rows: number): Promise<ReconciliationBench['repair']> {
  const third = Math.round(REPAIRED_ROWS / 3);
  await pair.target.query(`delete from public.orders where id <= ${third}`, [], DATABASE);
  await pair.target.query(
    `update public.orders set amount = amount + 1 where id > ${third} and id <= ${REPAIRED_ROWS - third}`,
    [],
    DATABASE,
  );
  await pair.target.query(
    `insert into public.orders select ${rows} + i, 1, 1, true, 1, null, now(), gen_random_uuid(), 'nobody', '{}', null from generate_series(1, ${third}) i`,
    [],
    DATABASE,
  );
  return mended();
}

/** Compares, repairs all that was found, and compares again. */
async function mended(): Promise<ReconciliationBench['repair']> {
  const spec = normal();
  const { summary } = await run(spec);
  const began = performance.now();
  const { inserted, updated, deleted } = await repairUntil(
    { repair: randomUUID(), run: summary.run, normal: spec, what: 'all', deletions: true, by: 'bench' },
    never,
  );
  const seconds = (performance.now() - began) / 1_000;
  const rows = inserted + updated + deleted;
  console.error(`  repair of ${rows} rows: ${seconds.toFixed(1)} s`);
  const after = await run(spec);
  return {
    rows,
    seconds: round(seconds),
    perSecond: Math.round(rows / seconds),
    equalAfterwards: after.summary.verdict === 'equal',
  };
}

async function contenders(
  pair: ServerPair,
  dataDiff: string,
  runs: number,
  rows: number,
): Promise<Pick<ReconciliationBench, 'contenders' | 'rowsPerSecond' | 'invented'>> {
  for (const { what, sql } of INJECTED) {
    for (const text of sql)
      await pair.target
        .query(text, [], DATABASE)
        .catch((error: unknown) => Promise.reject(new Error(`${what}: ${String(error)}`)));
  }
  const wanted = INJECTED.map(({ found }) => found(rows).map(({ id }) => `${id}`));
  const kinds = (ids: Set<string>): number => wanted.filter((each) => each.every((id) => ids.has(id))).length;
  const spec = normal();
  let invented = 0;
  const programs: { name: string; work: () => Promise<number | null> }[] = [
    {
      name: 'Godwit, comprehensive, to the row',
      work: async () => {
        const { summary } = await run(spec);
        const found = await pair.target.query<{ id: string }>(
          'select key[1] as id from godwit.reconciliation_finding where run = $1',
          [summary.run],
          DATABASE,
        );
        const ids = new Set(found.map(({ id }) => id));
        invented = [...ids].filter((id) => !wanted.flat().includes(id)).length;
        return kinds(ids);
      },
    },
    {
      name: 'data-diff 0.11.2, hashdiff, 2 threads, to the row',
      work: async () => {
        const columns = [
          'customer',
          'status',
          'paid',
          'amount',
          'weight',
          'placed',
          'reference',
          'email',
          'details',
          'note',
        ];
        const { stdout, stderr } = await execa(
          dataDiff,
          [
            pair.source.url(DATABASE).replace('postgres://', 'postgresql://'),
            'orders',
            pair.target.url(DATABASE).replace('postgres://', 'postgresql://'),
            'orders',
            ...['-k', 'id', '--threads', '2', '--json', '--no-tracking'],
            ...columns.flatMap((column) => ['-c', column]),
          ],
          // its lines would be cut at the width of a terminal
          { reject: false, env: { COLUMNS: '100000', TERM: 'dumb' } },
        );
        if (stdout === '') throw new Error(`data-diff found nothing: ${stderr}`);
        const ids = new Set(
          stdout.split('\n').flatMap((line) => {
            const found = /"[+-]", \["?(\d+)/.exec(line);
            return found?.[1] === undefined ? [] : [found[1]];
          }),
        );
        return kinds(ids);
      },
    },
    {
      name: 'md5(string_agg(row)) on each side, both at once: one answer for the whole table',
      work: async () => {
        const digest = `select md5(string_agg(md5(o::text), '' order by id)) as digest from public.orders o`;
        const [here, there] = await Promise.all([
          pair.source.query<{ digest: string }>(digest, [], DATABASE),
          pair.target.query<{ digest: string }>(digest, [], DATABASE),
        ]);
        if (here[0]?.digest === there[0]?.digest) throw new Error('it calls them equal');
        return null;
      },
    },
  ];
  const seconds = new Map<string, number[]>(programs.map(({ name }) => [name, []]));
  const found = new Map<string, number | null>();
  // the first round doesn't count: whoever is first reads the tables into memory for all others
  for (let i = 0; i <= runs; i += 1) {
    for (let turn = 0; turn < programs.length; turn += 1) {
      const program = programs[(turn + i) % programs.length];
      if (program === undefined) continue;
      const began = performance.now();
      found.set(program.name, await program.work());
      const took = (performance.now() - began) / 1_000;
      if (i > 0) seconds.get(program.name)?.push(took);
      console.error(`  ${program.name}: ${took.toFixed(1)} s, ${found.get(program.name) ?? 'no'} kinds found`);
    }
  }
  await mended();
  const own = seconds.get(programs[0]?.name ?? '') ?? [];
  return {
    contenders: programs.map(({ name }) => {
      const each = spread2(seconds.get(name) ?? []);
      return {
        name,
        seconds: each,
        ratio: round(each.median / spread2(own).median),
        found: found.get(name) ?? null,
        of: INJECTED.length,
      };
    }),
    rowsPerSecond: spread(own.map((took) => rows / took)),
    invented,
  };
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;

/** To the hundredth of a second. */
function spread2(values: number[]): Spread {
  const scaled = spread(values.map((value) => value * 100));
  const back = (value: number): number => Math.round(value) / 100;
  return {
    n: scaled.n,
    p95: back(scaled.p95),
    min: back(scaled.min),
    median: back(scaled.median),
    p99: back(scaled.p99),
    max: back(scaled.max),
  };
}

export function reconciliationTable(bench: ReconciliationBench): string {
  const each = ({ min, median, max }: Spread): string => `${min} / ${median} / ${max}`;
  const { repair } = bench;
  return [
    `${bench.rows} rows of 11 columns on each side, ${Math.round(bench.bytes / 2 ** 20)} MiB, ${bench.runs} runs each, on ${bench.machine}; min / median / max:`,
    '',
    '| all rows of both sides | seconds | median to Godwit | kinds of injected differences found |',
    '|---|---:|---:|---:|',
    ...bench.contenders.map(
      (one) =>
        `| ${one.name} | ${each(one.seconds)} | ${one.ratio} | ${one.found === null ? `“they differ”` : `${one.found} of ${one.of}`} |`,
    ),
    '',
    `Godwit compared ${each(bench.rowsPerSecond)} rows a second, and listed ${bench.invented} rows that don't differ.`,
    '',
    '| incremental | seconds | of the time of all rows | rows read |',
    '|---|---:|---:|---:|',
    ...bench.incremental.map(
      (one) => `| ${one.what} | ${each(one.seconds)} | ${Math.round(one.share * 1_000) / 10} % | ${one.rows} |`,
    ),
    '',
    '| systematic sample | seconds | what it says |',
    '|---|---:|---|',
    ...bench.samples.map((one) => `| ${one.percent} % | ${each(one.seconds)} | ${one.verdict} |`),
    '',
    `Repair of ${repair.rows} rows, each verified: ${repair.seconds} s, ${repair.perSecond} rows a second; ${repair.equalAfterwards ? 'equal afterwards' : 'NOT equal afterwards'}.`,
  ].join('\n');
}

export function loadTable(load: LoadBench): string {
  const latency = ({ median, p95, p99 }: Spread): string => `${median} | ${p95} | ${p99}`;
  return [
    `${load.runs} comprehensive runs with default limits over ${load.rows} rows on each side, under ${load.rate} transactions a second on the same table, on ${load.machine}:`,
    '',
    '| latency of the load, ms | median | p95 | p99 |',
    '|---|---:|---:|---:|',
    `| alone | ${latency(load.alone)} |`,
    `| beside a run | ${latency(load.beside)} |`,
    '',
    `The p95 is ${round(load.beside.p95 / load.alone.p95)} times as long. ${load.falsePositives} false positives; the one row that differs was missed ${load.missed} times. A run took ${load.seconds.min} / ${load.seconds.median} / ${load.seconds.max} s.`,
  ].join('\n');
}

export function reconciliationHolds({ contenders: all, repair, invented }: ReconciliationBench): boolean {
  const [own] = all;
  return own?.found === own?.of && invented === 0 && repair.equalAfterwards;
}
