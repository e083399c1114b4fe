/**
 * Validation of one large table against the least that comparing it could cost: one sequential pass of the strict hash over
 * each side, both at once. Then twelve kinds of differences, made behind replication's back, all of which it must find.
 */
import type { DatabaseMove } from '../activities/contract.js';
import { initialSync } from '../activities/postgres/copy/initial-sync.js';
import type { Session } from '../activities/postgres/session.js';
import { bothSides } from '../activities/postgres/sides.js';
import { qualified } from '../activities/postgres/statements.js';
import { describeTables } from '../activities/postgres/validation/describe.js';
import { dialectOf } from '../activities/postgres/validation/expression.js';
import { serverOf } from '../activities/postgres/validation/server.js';
import { pin } from '../activities/postgres/validation/lanes.js';
import { validate } from '../activities/postgres/validation/validate.js';
import { admitted, differencesOf, listed } from '../test/support/injected-differences.js';
import { startPair } from '../test/support/postgres.js';
import { prepareReplication } from '../test/support/sync.js';
import { COPY_SETTINGS } from './copy.js';
import { machine, spread, type Spread } from './figures.js';
import { LARGE_TABLE, makeLargeTable } from './large-table.js';
import { defaultMove } from './migration.js';

const DATABASE = 'shop';
const TABLE = qualified(LARGE_TABLE);
/** Of the median of a validation to that of the passes. */
const RATIO_LIMIT = 1.3;

/** What is done to the target, and the rows that differ by it. Rows without a note are every fourth, without a weight every tenth. */
export const INJECTED: { what: string; sql: string[]; found: (rows: number) => { kind: string; id: number }[] }[] = [
  {
    what: 'a row is missing',
    sql: [`delete from ${TABLE} where id = 11`],
    found: () => [{ kind: 'missing', id: 11 }],
  },
  {
    what: 'a row too many, behind the last key',
    sql: [
      `insert into ${TABLE} select (select max(id) + 1 from ${TABLE}), ${'customer, status, paid, amount, weight, placed, reference, email, details, note'} from ${TABLE} where id = 1`,
    ],
    found: (rows) => [{ kind: 'extra', id: rows + 1 }],
  },
  changed('an integer, by one', 101, 'customer = customer + 1'),
  changed('a boolean', 202, 'paid = not paid'),
  changed('a numeric, by a cent', 303, 'amount = amount + 0.01'),
  changed('a float, by its last bit', 405, 'weight = weight * (1 + 2.3e-16)'),
  changed('a timestamp, by a microsecond', 506, `placed = placed + interval '1 microsecond'`),
  changed('a uuid, by one digit', 607, `reference = overlay(reference::text placing 'f0' from 35)::uuid`),
  changed('a text, by a space at its end', 709, `email = email || ' '`),
  changed('a null that became an empty text', 808, `note = ''`),
  changed(
    'two elements of a JSON array, swapped',
    909,
    `details = jsonb_set(details, '{tags}', jsonb_build_array(details -> 'tags' -> 1, details -> 'tags' -> 0))`,
  ),
  {
    what: 'a value swapped between two rows',
    sql: [
      `update ${TABLE} set email = (select email from ${TABLE} o where o.id = 2021 - r.id) from (values (1010), (1011)) r(id) where orders.id = r.id`,
    ],
    found: () => [
      { kind: 'changed', id: 1010 },
      { kind: 'changed', id: 1011 },
    ],
  },
];

function changed(what: string, id: number, set: string): (typeof INJECTED)[number] {
  return { what, sql: [`update ${TABLE} set ${set} where id = ${id}`], found: () => [{ kind: 'changed', id }] };
}

export interface ValidationBench {
  machine: string;
  rows: number;
  runs: number;
  /** All in seconds. */
  validation: Spread;
  passes: Spread;
  /** Medians. */
  ratio: number;
  ratioLimit: number;
  injected: { what: string; found: boolean }[];
  /** Listed without being injected. */
  invented: string[];
}

export async function benchValidation({ runs, rows }: { runs: number; rows: number }): Promise<ValidationBench> {
  const pair = await startPair(COPY_SETTINGS);
  try {
    console.error(`… ${rows} rows`);
    await makeLargeTable(pair.source, DATABASE, rows);
    await pair.target.createDatabase(DATABASE);
    const move = await defaultMove(pair, 'bench', DATABASE);
    console.error('… copying');
    await prepareReplication(move);
    await initialSync(move);
    for (const server of [pair.source, pair.target]) await server.query('vacuum public.orders', [], DATABASE);
    const validation: number[] = [];
    const passes: number[] = [];
    // The first run of each fills the caches.
    for (let run = 0; run <= runs; run += 1) {
      const one = await seconds(async () => {
        const { verdict } = await validate(move);
        if (verdict !== 'equal') throw new Error(`equal tables are ${verdict}`);
      });
      const other = await passOfEachSide(move);
      console.error(
        `  validation ${one.toFixed(1)} s, one pass of each side ${other.toFixed(1)} s${run === 0 ? ' (not counted)' : ''}`,
      );
      if (run === 0) continue;
      validation.push(one);
      passes.push(other);
    }
    return {
      machine: machine(),
      rows,
      runs,
      validation: spread(validation),
      passes: spread(passes),
      ratio: Math.round((spread(validation).median / spread(passes).median) * 100) / 100,
      ratioLimit: RATIO_LIMIT,
      ...(await inject(move, rows)),
    };
  } finally {
    await pair.destroy();
  }
}

/** With the settings of validation's own sessions, and no parallel workers: both sides share the cores as it is. */
async function passOfEachSide(move: DatabaseMove): Promise<number> {
  await using sides = await bothSides(move, 'bench');
  const { source, target } = sides;
  const dialect = dialectOf(await serverOf(source), await serverOf(target));
  const [table] = await describeTables(source, target, [LARGE_TABLE], dialect);
  if (table === undefined) throw new Error('the table is gone');
  const pass = async (session: Session, hash: string): Promise<string> => {
    const row = await session.row<{ digest: string }>(
      `select count(*) || ' ' || sum(${hash}) as digest from only ${TABLE} as r`,
    );
    return row?.digest ?? '';
  };
  for (const session of [source, target]) {
    await pin(session);
    await session.run('set jit = off');
    await session.run('set max_parallel_workers_per_gather = 0');
  }
  return await seconds(async () => {
    const [here, there] = await Promise.all([pass(source, table.source.hash), pass(target, table.target.hash)]);
    if (here !== there) throw new Error('equal tables have different hashes');
  });
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

async function inject(move: DatabaseMove, rows: number): Promise<Pick<ValidationBench, 'injected' | 'invented'>> {
  await using session = await admitted(move);
  for (const { what, sql } of INJECTED) {
    for (const text of sql) if ((await session.run(text)) === 0) throw new Error(`nothing was changed: ${what}`);
  }
  const certificate = await validate(move);
  const found = new Set(await differencesOf(session, certificate.id));
  const injected = INJECTED.map((one) => {
    const wanted = one.found(rows).map(({ kind, id }) => listed(LARGE_TABLE, kind, [`${id}`]));
    const all = wanted.every((line) => found.has(line));
    for (const line of wanted) found.delete(line);
    return { what: one.what, found: all };
  });
  return { injected, invented: [...found] };
}

export function validationTable(bench: ValidationBench): string {
  const row = (name: string, { min, median, max }: Spread): string => `| ${name} | ${min} | ${median} | ${max} |`;
  const missed = bench.injected.filter(({ found }) => !found).map(({ what }) => what);
  return [
    `${bench.rows} rows on each side, ${bench.runs} runs each, on ${bench.machine}:`,
    '',
    '| seconds | min | median | max |',
    '|---|---:|---:|---:|',
    row('validation of both sides', bench.validation),
    row('one sequential pass of the strict hash on each side, both at once', bench.passes),
    '',
    `Validation takes ${bench.ratio} times as long. Of ${bench.injected.length} kinds of injected differences ${bench.injected.length - missed.length} were found${missed.length > 0 ? ` (missed: ${missed.join('; ')})` : ''}; ${bench.invented.length} more were listed.`,
  ].join('\n');
}

export function validationHolds({ ratio, ratioLimit, injected, invented }: ValidationBench): boolean {
  return ratio <= ratioLimit && injected.every(({ found }) => found) && invented.length === 0;
}
