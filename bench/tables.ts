/** How everything grows with the number of tables: tiny ones, a few rows each, so that what is counted is the tables. */
import type { DatabaseMove } from '../activities/contract.js';
import { initialSync } from '../activities/postgres/copy/initial-sync.js';
import { claim } from '../activities/postgres/authority.js';
import { switchWrites } from '../activities/postgres/cutover.js';
import { installFence } from '../activities/postgres/fence.js';
import { createPublication } from '../activities/postgres/replication/publication.js';
import { prepareSchema } from '../activities/postgres/schema/prepare.js';
import { validate } from '../activities/postgres/validation/validate.js';
import { planDatabase } from '../activities/plan/database.js';
import { preflightDatabase } from '../activities/preflight/preflight.js';
import type { PostgresServer } from '../lab/postgres.js';
import { startPair, type ServerPair } from '../test/support/postgres.js';
import { undoPreparation } from '../test/support/sync.js';
import { machine, spread, type Spread } from './figures.js';
import { defaultMove } from './migration.js';

/** Tables made in one transaction: each takes several locks until it ends. */
const MADE_AT_ONCE = 500;
const ROWS = 3;
const LOCKS = 'max_locks_per_transaction';

export interface SizeFigures {
  tables: number;
  /** Of each server, as preflight asks for it. */
  locksPerTransaction: Record<'source' | 'target', number>;
  /** Seconds of what is done once. */
  once: Record<string, number>;
  switches: number;
  /** Milliseconds. */
  pause: Spread;
  attempt: Spread;
  steps: Record<string, Spread>;
}

export interface TablesBench {
  machine: string;
  runs: number;
  sizes: SizeFigures[];
}

export async function benchTables({ runs, sizes }: { runs: number; sizes: number[] }): Promise<TablesBench> {
  const figures: SizeFigures[] = [];
  for (const tables of sizes) {
    const pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
    try {
      figures.push(await measure(pair, tables, runs));
    } finally {
      await pair.destroy();
    }
  }
  return { machine: machine(), runs, sizes: figures };
}

async function measure(pair: ServerPair, tables: number, runs: number): Promise<SizeFigures> {
  console.error(`… ${tables} tables`);
  const database = `tables-${tables}`;
  for (const server of [pair.source, pair.target]) await server.createDatabase(database);
  await makeTables(pair.source, database, tables);
  const move = await defaultMove(pair, `bench-${tables}`, database);
  // Ten thousand tables may take longer than the budget of a switch that is meant for few; how long is what is asked.
  move.database.cutover = { ...move.database.cutover, maxPause: 60_000 };
  await makeRoom(pair, move);

  const once: Record<string, number> = {};
  const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const began = performance.now();
    await work();
    once[name] = Math.round(performance.now() - began) / 1_000;
    console.error(`  ${name}: ${once[name]} s`);
  };
  await timed('preflight', () => preflightDatabase(move));
  await timed('plan, preflight included', () => planDatabase(move));
  await timed('claim', () => claim(move));
  await timed('schema copy', () => prepareSchema(move));
  await timed('fence', () => installFence(move));
  await timed('publication', () => createPublication(move));
  await timed('initial sync', () => initialSync(move));
  await timed('validation', async () => {
    const { verdict } = await validate(move);
    if (verdict !== 'equal') throw new Error(`equal tables are ${verdict}`);
  });

  const pause: number[] = [];
  const attempts: number[] = [];
  const steps: Record<string, number[]> = {};
  for (let run = 1; run <= runs; run += 1) {
    for (const direction of ['forward', 'back'] as const) {
      const began = performance.now();
      const outcome = await switchWrites({ move, direction, mode: 'switch', attempt: run });
      if (outcome.kind !== 'switched') throw new Error(`${tables} tables ${direction}: ${JSON.stringify(outcome)}`);
      attempts.push(performance.now() - began);
      pause.push(outcome.figures.pauseMs);
      for (const { name, ms } of outcome.figures.steps) (steps[name] ??= []).push(ms);
      console.error(`  ${run} ${direction}: pause ${outcome.figures.pauseMs} ms`);
    }
  }
  await timed('undo of all of it', () => undoPreparation(move));
  return {
    tables,
    locksPerTransaction: { source: await locksOf(pair.source), target: await locksOf(pair.target) },
    once,
    switches: pause.length,
    pause: spread(pause),
    attempt: spread(attempts),
    steps: Object.fromEntries(Object.entries(steps).map(([name, values]) => [name, spread(values)])),
  };
}

async function makeTables(server: PostgresServer, database: string, tables: number): Promise<void> {
  for (let from = 1; from <= tables; from += MADE_AT_ONCE) {
    await server.query(
      `do $$ begin
         for i in ${from}..${Math.min(tables, from + MADE_AT_ONCE - 1)} loop
           execute format('create table public.table_%s (id bigint primary key, value text)', i);
           execute format('insert into public.table_%s select i, md5(i::text) from generate_series(1, ${ROWS}) i', i);
         end loop;
       end $$`,
      [],
      database,
    );
  }
  await server.query('vacuum analyze', [], database);
}

/** Does what preflight says, on the side that it names. */
async function makeRoom(pair: ServerPair, move: DatabaseMove): Promise<void> {
  const findings = await preflightDatabase(move);
  for (const { id, side, evidence, repair } of findings.filter((finding) => finding.severity === 'error')) {
    if (id !== 'too-few-locks' || (side !== 'source' && side !== 'target')) throw new Error(`${id}: ${evidence}`);
    console.error(`  ${side}: ${evidence}`);
    for (const text of repair.filter((line) => line.startsWith('ALTER SYSTEM '))) await pair[side].query(text);
    await pair[side].restart();
  }
}

async function locksOf(server: PostgresServer): Promise<number> {
  const [row] = await server.query<{ setting: string }>('select current_setting($1) as setting', [LOCKS]);
  return Number(row?.setting ?? 0);
}

export function tablesTable({ machine: where, sizes }: TablesBench): string {
  const heads = sizes.map(({ tables }) => `${tables} tables`);
  const named = (name: string, cells: (string | number)[]): string => `| ${name} | ${cells.join(' | ')} |`;
  const spreads = (pick: (one: SizeFigures) => Spread | undefined): string[] =>
    sizes.map((one) => {
      const found = pick(one);
      return found === undefined ? '' : `${found.median} (${found.max})`;
    });
  const [first] = sizes;
  const head = (title: string): string[] => [named(title, heads), `|---|${heads.map(() => '---:|').join('')}`];
  return [
    `Tables of ${ROWS} rows, ${first?.switches ?? 0} switches each, on ${where}:`,
    '',
    ...head('milliseconds, median (max)'),
    named(
      'write pause',
      spreads(({ pause }) => pause),
    ),
    named(
      'attempt as a whole',
      spreads(({ attempt }) => attempt),
    ),
    ...Object.keys(first?.steps ?? {}).map((name) =>
      named(
        `step ${name}`,
        spreads(({ steps }) => steps[name]),
      ),
    ),
    '',
    ...head('seconds, once'),
    ...Object.keys(first?.once ?? {}).map((name) =>
      named(
        name,
        sizes.map(({ once }) => once[name] ?? ''),
      ),
    ),
    named(
      `${LOCKS}, source and target`,
      sizes.map(({ locksPerTransaction: { source, target } }) => `${source}, ${target}`),
    ),
  ].join('\n');
}
