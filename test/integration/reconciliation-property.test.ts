/** Random tables, rows, differences and load: a run finds exactly what was injected, whatever goes on meanwhile. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identifier } from '../../activities/postgres/statements.js';
import { underway } from '../support/underway.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

/** Types of columns, and the value that row `n` has in them. */
const COLUMNS = [
  ['bigint', `n * 4294967296`],
  ['numeric', `n / 7.0`],
  ['double precision', `sqrt(abs(n))`],
  ['text', `'text ' || n % 13 || repeat('ü', (n % 40)::int)`],
  ['char(8)', `'c' || n % 9`],
  ['bytea', `decode(md5(n::text), 'hex')`],
  ['timestamptz', `timestamptz '2026-01-01' + n % 1000 * interval '1 minute'`],
  ['interval', `n % 50 * interval '1 hour'`],
  ['jsonb', `jsonb_build_object('n', n % 17, 'list', jsonb_build_array(n, null))`],
  ['json', `json_build_object('n', n)`],
  ['xml', `xmlelement(name row, n)`],
  ['uuid', `md5((n % 20)::text)::uuid`],
  ['point', `point(n, -n)`],
  ['inet', `inet '10.0.0.0' + n % 1000`],
  ['tsvector', `to_tsvector('simple', 'word' || n % 7)`],
  ['public.mood', `(array['calm', 'angry'])[1 + abs(n) % 2]::public.mood`],
  ['public.measure', `row(n, 'kg')::public.measure`],
  ['public.measure[]', `array[row(n, null)::public.measure]`],
  ['numrange', `numrange(n, n + 1)`],
  ['boolean', `n % 3 = 0`],
] as const;

/** Columns of each key with the value of row `n`, and how findings name that row: an expression over `n`. */
const KEYS = {
  bigint: [['bigint', 'n * 1099511627776']],
  dense: [['int', 'n']],
  uuid: [['uuid', 'md5(n::text)::uuid']],
  text: [['text collate "C"', `'Key ' || n || ' "ß"'`]],
  composite: [
    ['smallint', '(n % 7)::smallint'],
    ['text', `'part ' || n`],
  ],
  none: [],
} as const;

interface Table {
  name: string;
  key: keyof typeof KEYS;
  columns: number[];
  /** Numbers of the rows that both sides have. */
  rows: number;
  /** By number of the row. */
  differences: { row: number; kind: 'missing' | 'extra' | 'changed'; column: number }[];
}

const NAMES = ['plain', 'Mixed Case', 'quoted " name', `it's`, 'a.b', ':row', 'ünï 🐦', 'x'.repeat(60)];

const arbitraryTable = fc.record({
  name: fc.constantFrom(...NAMES),
  key: fc.constantFrom(...(Object.keys(KEYS) as (keyof typeof KEYS)[])),
  columns: fc.uniqueArray(fc.nat({ max: COLUMNS.length - 1 }), { minLength: 1, maxLength: 5 }),
  rows: fc.constantFrom(0, 1, 60, 700, 1_500),
  differences: fc.uniqueArray(
    fc.record({
      row: fc.integer({ min: 1, max: 2_000 }),
      kind: fc.constantFrom('missing' as const, 'extra' as const, 'changed' as const),
      column: fc.nat(4),
    }),
    { selector: ({ row }) => row, maxLength: 12 },
  ),
});

const arbitraryTables = fc
  .array(arbitraryTable, { minLength: 16, maxLength: 16 })
  .map((tables) =>
    tables.map((table, index): Table => ({ ...possible(table), name: `${index} ${table.name}`.slice(0, 63) })),
  );

/**
 * Rows that are there may be missing or changed, others extra. Replication looks for each row of a table without a key in all of the
 * table, so these are small.
 */
function possible(drawn: Table): Table {
  const table = drawn.key === 'none' ? { ...drawn, rows: Math.min(drawn.rows, 60) } : drawn;
  const differences = table.differences.flatMap((one): Table['differences'] => {
    if (one.row > table.rows) return [{ ...one, kind: 'extra' }];
    return [one.kind === 'extra' ? { ...one, kind: 'missing' } : one];
  });
  return { ...table, differences };
}

const tableOf = ({ name }: Table): string => `public.${identifier(name)}`;
const columnName = (index: number): string => `v "${index}"`;
const keyColumns = ({ key }: Table): string[] => KEYS[key].map((_, index) => `Key:${index}`);

function made(table: Table): string {
  const keys = KEYS[table.key].map(([type], index) => `${identifier(`Key:${index}`)} ${type} not null`);
  const columns = table.columns.map((type, index) => `${identifier(columnName(index))} ${COLUMNS[type]?.[0] ?? ''}`);
  const primary = keys.length === 0 ? [] : [`primary key (${keyColumns(table).map(identifier).join(', ')})`];
  const identity = keys.length === 0 ? `; alter table ${tableOf(table)} replica identity full` : '';
  return `create table ${tableOf(table)} (n_ bigint, ${[...keys, ...columns, ...primary].join(', ')})${identity}`;
}

/** Rows of these numbers; `n_` is the number, so that tests find the row. */
function filled(table: Table, numbers: string): string {
  const values = [
    ...KEYS[table.key].map(([, value]) => value),
    ...table.columns.map((type) => `case when n % 11 = 0 then null else ${COLUMNS[type]?.[1] ?? ''} end`),
  ];
  return `insert into ${tableOf(table)} select n, ${values.join(', ')} from ${numbers} n`;
}

const typeOf = (table: Table, index: number): string => COLUMNS[table.columns[index] ?? 0]?.[0] ?? 'text';
const valueOf = (table: Table, index: number): string => COLUMNS[table.columns[index] ?? 0]?.[1] ?? 'null';

/** Rows without a key are there twice, so that only their number tells. */
const sowing = (table: Table): string[] => {
  const once = filled(table, `generate_series(1::bigint, ${table.rows})`);
  return table.key === 'none' ? [once, once] : [once];
};

function injected(table: Table): string[] {
  return table.differences.map(({ row, kind, column }) => {
    const one = `ctid = (select min(ctid) from ${tableOf(table)} where n_ = ${row})`;
    if (kind === 'extra') return filled(table, `unnest(array[${row}::bigint])`);
    if (kind === 'missing') return `delete from ${tableOf(table)} where ${one}`;
    const index = column % table.columns.length;
    const name = identifier(columnName(index));
    return `update ${tableOf(table)} r set ${name} = (
      select v from (select n, (${valueOf(table, index)})::${typeOf(table, index)} as v from generate_series(1::bigint, 50) n) other
      where row(v)::text collate "C" <> row(r.${name})::text collate "C" order by n limit 1) where ${one}`;
  });
}

/** As `Reconciled.found` tells them; of a table without a key, only the kind. */
async function wanted(world: Reconciled, tables: Table[]): Promise<string[]> {
  const lines: string[] = [];
  for (const table of tables) {
    for (const { row, kind, column } of table.differences) {
      if (table.key === 'none') {
        // a row that became another is one less of the one, and one more of the other
        lines.push(...Array<string>(kind === 'changed' ? 2 : 1).fill(`${table.name} count`));
        continue;
      }
      const parts = KEYS[table.key].map(([, value]) => `(${value})::text`);
      const [key] = await world.on<{ key: string }>(
        'source',
        `select array_to_string(array[${parts.join(', ')}], ',') as key from unnest(array[${row}::bigint]) n`,
      );
      const of = kind === 'changed' ? ` (${columnName(column % table.columns.length)})` : '';
      lines.push(`${table.name} ${kind} ${key?.key ?? ''}${of}`);
    }
  }
  return lines.sort();
}

const found = async (world: Reconciled, tables: Table[], run: string): Promise<string[]> => {
  const keyless = new Set(tables.filter(({ key }) => key === 'none').map(({ name }) => `${name} count`));
  return (await world.found(run))
    .map((line) => [...keyless].find((start) => line.startsWith(`${start} `)) ?? line)
    .sort();
};

/** Replication finds a row of a table without a key by all its values, and these can't be told apart there. */
const WITHOUT_EQUALITY = new Set(['json', 'xml', 'point']);

/** A client that inserts, changes and deletes rows of all tables on the source, but those with an injected difference. */
async function underLoad<T>(world: Reconciled, tables: Table[], work: () => Promise<T>): Promise<T> {
  let go = true;
  let turn = 0;
  const client = async (): Promise<void> => {
    const session = await connect(pair.source.url(world.name));
    try {
      while (go) {
        const table = tables[turn % tables.length];
        turn += 1;
        if (table === undefined) return;
        const others = `n_ <> all (array[${[0, ...table.differences.map(({ row }) => row)].join(', ')}])`;
        const at = 10_000 + turn * 10;
        await session.query(filled(table, `generate_series(${at}::bigint, ${at + 3})`));
        const types = table.columns.map((type) => COLUMNS[type]?.[0] ?? '');
        if (table.key === 'none' && types.some((type) => WITHOUT_EQUALITY.has(type))) continue;
        const column = turn % table.columns.length;
        await session.query(
          `update ${tableOf(table)} r set ${identifier(columnName(column))} = (select ${valueOf(table, column)} from unnest(array[${turn}::bigint]) n)
           where n_ % 37 = ${turn % 37} and ${others}`,
        );
        await session.query(`delete from ${tableOf(table)} where n_ % 101 = ${turn % 101} and ${others}`);
      }
    } finally {
      await session.end();
    }
  };
  const writing = underway(client());
  try {
    return await work();
  } finally {
    go = false;
    await writing;
  }
}

const TYPES = `create type public.mood as enum ('calm', 'angry'); create type public.measure as (amount numeric, unit text);`;

test('a run under load finds exactly what was injected, and a repair leaves nothing of it', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTables, async (tables) => {
      const world = await Reconciled.start(pair, fresh('random'), {
        schema: `${TYPES} ${tables.map(made).join('; ')}`,
        rows: tables.flatMap(sowing).join('; '),
      });
      const keyed = tables.filter(({ key }) => key !== 'none');
      // the load counts as others at work, and no hour is to be had
      const normal = world.normal({ limits: { busy: { share: '50%' } } });
      await underLoad(world, tables, async () => {
        await world.on('target', tables.flatMap(injected).join('; '));
        const first = await world.run(normal);
        expect(await found(world, tables, first.run)).toEqual(await wanted(world, tables));
        expect(first).toMatchObject({ suspects: 0, tablesNotCompared: 0 });
        const mended = await world.repair(normal, first.run);
        expect(mended).toMatchObject({ refused: 0, unneeded: 0 });
      });
      const rest = await world.run(normal);
      expect(await found(world, tables, rest.run)).toEqual(
        (await wanted(world, tables)).filter((line) => !keyed.some(({ name }) => line.startsWith(`${name} `))),
      );
      expect(rest.rows).toBeGreaterThan(0);
      await world.on('target', `drop subscription "${world.name}"`);
    }),
    { numRuns: 1, endOnFailure: true },
  );
}, 300_000);
