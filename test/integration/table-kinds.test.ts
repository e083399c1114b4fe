/** Every kind of table goes there, back and there again under writes; what can't go is refused by name. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { preflightDatabase } from '../../activities/preflight/preflight.js';
import type { CertificateSummary } from '../../spec/status.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { qualified, type TableName } from '../../activities/postgres/statements.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { retried } from '../support/retried.js';
import {
  admitted,
  changeBack,
  changeFirstRow,
  changeOneRowEach,
  differencesOf,
  listed,
  type Listed,
} from '../support/injected-differences.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { find } from '../support/preflight.js';
import { inputOf } from '../support/switching.js';
import { finishedRanges, prepareReplication, undoPreparation } from '../support/sync.js';
import { ROLES, rowsOf, schemaOf, TABLE_KINDS, TableWriters, TICKETS_THERE, TYPES } from '../support/table-kinds.js';

/** Most tables with rows have several, by key or by place. */
const SMALL_RANGES = { parallelism: 2, rangeSize: 8 * 1024, rateLimit: null };

const DATABASE = 'Kinds of "tables"';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  for (const server of [pair.source, pair.target]) await server.query(ROLES);
});
afterAll(() => pair?.destroy());

/** `schema.*`: every table of it. */
const PROMISES: [promise: string, tables: string[]][] = [
  ['every type, each with its edge cases', ['kinds.*']],
  ['keys of integers, to both ends of their type', ['keys.by_smallint', 'keys.by_integer', 'keys.by_bigint']],
  ['keys of uuid', ['keys.by_uuid']],
  [
    'keys of text: any characters, padded, and equal to others that are written otherwise',
    ['keys.by_text', 'keys.by_char', 'keys.by_citext', 'keys.by_any_case'],
  ],
  ['keys that are NaN, infinite or −0', ['keys.by_numeric', 'keys.by_float', 'keys.by_timestamptz']],
  [
    'keys of other types: bytes, enums, domains, addresses, arrays, composites, ranges, bits',
    [
      'keys.by_bytea',
      'keys.by_enum',
      'keys.by_domain',
      'keys.by_inet',
      'keys.by_array',
      'keys.by_composite_type',
      'keys.by_range',
      'keys.by_bits',
    ],
  ],
  [
    'keys of columns in another order than the table has them, and with others included',
    ['keys.by_columns', 'keys.with_included'],
  ],
  ['a unique index or constraint as identity', ['keys.by_unique_index', 'keys.by_unique_constraint']],
  ['whole rows as identity, with values stored apart', ['keys.keyless', 'keys.full_with_key']],
  [
    'partitions of two levels, default ones, and such as were attached with columns in another order',
    [
      'trees.reading_2025_eu',
      'trees.reading_2025_rest',
      'trees.reading_2026_eu',
      'trees.reading_2026_rest',
      'trees.reading_default',
      'trees.bucketed_0',
      'trees.bucketed_1',
    ],
  ],
  ['inheritance, from several parents, too', ['trees.vehicle', 'trees.boat', 'trees.car', 'trees.amphibian']],
  ['tables made of a type', ['trees.typed']],
  ['tables that draw from sequences of every kind', ['numbers.*']],
  ['generated columns, also in unique keys, without a key and alone; checks that old rows fail', ['computed.*']],
  [
    'foreign keys in a circle, deferred, on partitions, and one that was never checked',
    ['bound.company', 'bound.person', 'bound.remark', 'bound.dangling'],
  ],
  ['tables that are truncated together, while they are referred to', ['bound.shelf', 'bound.book']],
  ['unique values that are swapped, and checked at the end of the transaction', ['bound.ranked']],
  ['tables with triggers and rules, and what these have written', ['bound.audited', 'bound.audit', 'bound.ruled']],
  ['tables with row security, forced, too', ['bound.secured', 'bound.forced']],
  ['tables with indexes of every kind', ['bound.booking']],
  ['names of any characters and of 63 bytes', [`Sch.ema "quoted" 'ß' – 🐦.*`]],
  ['empty tables', ['sizes.empty']],
  ['tables without columns, or with nothing but a key', ['sizes.without_columns', 'sizes.only_a_key']],
  ['rows of 10 MB, and values that an UPDATE leaves where they are stored', ['sizes.wide_row', 'sizes.toasted']],
  ['tables of 1,600 columns', ['sizes.sixteen_hundred']],
  ['tables that lost columns', ['sizes.dropped_columns']],
  ['tables with comments, storage settings, statistics and grants', ['dressed.*']],
];

const EVERY_TYPE = { schema: 'kinds', name: 'every_type' };
const NAMES = `Sch.ema "quoted" 'ß' – 🐦`;

/** One row of each is made different. The writers leave these rows alone. */
const KEYED: TableName[] = [
  ...[
    ...[
      'smallint',
      'integer',
      'bigint',
      'uuid',
      'text',
      'char',
      'citext',
      'any_case',
      'numeric',
      'timestamptz',
      'bytea',
    ],
    ...['enum', 'domain', 'inet', 'array', 'composite_type', 'range', 'bits'],
  ].map((key) => ({ schema: 'keys', name: `by_${key}` })),
  { schema: 'keys', name: 'with_included' },
  { schema: 'sizes', name: 'dropped_columns' },
  ...['select', 'position', ':table', '*', 'a/b\\c', '.dot', ' space ', 'new\nline'].map((name) => ({
    schema: NAMES,
    name,
  })),
];

const isOf = (tables: string[], table: string): boolean =>
  tables.some((one) => (one.endsWith('.*') ? table.startsWith(one.slice(0, -1)) : one === table));

describe('a database of every kind of table', () => {
  /** Both sides while nobody writes, by moment. */
  const moments: {
    moment: string;
    source: Map<string, string>;
    target: Map<string, string>;
    certificate: CertificateSummary;
  }[] = [];
  let original: string[];
  let schemas: { source: string; target: string };
  let move: DatabaseMove;
  let writers: TableWriters;

  /** What was changed on the target alone, and what validation made of it while people wrote elsewhere. */
  let changed: Listed[];
  let found: Listed[];

  const changeTarget = async (): Promise<void> => {
    const target = await admitted(move);
    changed = await changeOneRowEach(target, EVERY_TYPE, TYPES);
    for (const table of KEYED) changed.push(await changeFirstRow(target, table));
    const only = { schema: 'sizes', name: 'only_a_key' };
    const [absent] = await target.rows<{ key: string }>(
      'delete from sizes.only_a_key where key = (select max(key::text)::uuid from sizes.only_a_key) returning key',
    );
    await target.run(`insert into sizes.only_a_key values ('00000000-0000-0000-0000-000000000000')`);
    changed.push(listed(only, 'missing', [absent?.key ?? '']));
    changed.push(listed(only, 'extra', ['00000000-0000-0000-0000-000000000000']));

    found = await differencesOf(target, (await validate(move)).id);

    await changeBack(target, EVERY_TYPE, TYPES);
    for (const { schema, name } of KEYED) {
      await target.run(`update ${qualified({ schema, name })} set value = 'v' where value = 'changed'`);
    }
    await target.run(`delete from sizes.only_a_key where key = '00000000-0000-0000-0000-000000000000'`);
    await target.run('insert into sizes.only_a_key values ($1)', [absent?.key]);
    await target.close();
  };

  /** Nobody writes, and nothing is left to be applied: its marker passes after all that was written. */
  const atRest = async (ask: (certificate: CertificateSummary) => Promise<void>): Promise<void> => {
    await writers.stop();
    await ask(await validate(move));
    writers.start();
  };

  const look = (moment: string): Promise<void> =>
    atRest(async (certificate) => {
      const [source, target] = await Promise.all([rowsOf(pair.source, DATABASE), rowsOf(pair.target, DATABASE)]);
      moments.push({ moment, source, target, certificate });
    });

  /** pg_dump locks table after table, and would deadlock with who truncates several: a writer here, an apply worker there. */
  const lookAtSchemas = (): Promise<void> =>
    atRest(async () => {
      schemas = { source: await schemaOf(pair.source, DATABASE), target: await schemaOf(pair.target, DATABASE) };
    });

  beforeAll(async () => {
    for (const server of [pair.source, pair.target]) await server.createDatabase(DATABASE);
    await pair.source.query(TABLE_KINDS, [], DATABASE);
    original = await catalogOf(pair.source, DATABASE);
    writers = new TableWriters(pair, DATABASE);
    move = moveOf(pair, DATABASE, { copy: SMALL_RANGES });
    writers.start();
    await prepareReplication(move);
    // a snapshot that a writer waits behind is given up, and whoever reads it then is ended
    await retried(() => initialSync(move));
    await catchUp(move);
    await lookAtSchemas();
    await writers.progress(2);
    await changeTarget();
    await look('copied');
    for (const direction of ['forward', 'back', 'forward'] as const) {
      await writers.progress(1);
      const outcome = await switchWrites(inputOf(move, direction));
      if (outcome.kind !== 'switched') throw new Error(JSON.stringify(outcome));
      await writers.progress(2);
      await look(`switched ${direction}`);
    }
    await writers.stop();
  });
  afterAll(() => writers?.stop());

  test.each(PROMISES)('%s: the same rows on both sides, after the copy and after each switch', (_, tables) => {
    for (const { moment, source, target } of moments) {
      const wanted = [...source].filter(([table]) => isOf(tables, table));
      const found = [...target].filter(([table]) => isOf(tables, table));
      expect(wanted.length).toBeGreaterThan(0);
      expect(found, moment).toEqual(wanted);
      for (const [table, rows] of wanted) if (table !== 'sizes.empty') expect(rows, table).not.toMatch(/^0 /);
    }
  });

  test('no table is without its promise, and validation looked at each of them', () => {
    const [copied] = moments;
    const tables = [...(copied?.source.keys() ?? [])];
    expect(tables.filter((table) => !PROMISES.some(([, kind]) => isOf(kind, table)))).toEqual([]);
    for (const { moment, certificate } of moments) {
      expect(certificate, moment).toMatchObject({ verdict: 'equal', differences: 0, tables: tables.length });
    }
  });

  test.each(TYPES.map((type, index) => [type, index + 1] as const))(
    'a changed value of type %s is found, by table and key',
    (_, id) => expect(found).toContain(listed(EVERY_TYPE, 'changed', [`${id}`])),
  );

  test.each(KEYED.map((table) => [`${table.schema}.${table.name}`]))(
    'a changed row of %j is found, by its key',
    (name) => {
      const of = (list: Listed[]): Listed[] => list.filter((one) => one.startsWith(`${name} `));
      expect(of(found)).toEqual(of(changed));
    },
  );

  test('a row that is missing and one too many are found, and nothing is that was not changed', () => {
    expect([...found].sort()).toEqual([...changed].sort());
  });

  test('the schema is the same in the words of pg_dump, but for its order', () => {
    expect(schemas.target).toBe(schemas.source);
  });

  test('xml arrives as Postgres prints it: without a declaration that says nothing', async () => {
    const declared = `select count(*)::int as n from kinds.every_type where xml::text like '<?xml%'`;
    expect(await pair.target.query(declared, [], DATABASE)).toEqual([{ n: 0 }]);
  });

  test('no client was refused otherwise than by the fence, and what was acknowledged is there', async () => {
    expect(writers.unexpected).toEqual([]);
    const there = await pair.target.query<{ ticket: string }>(TICKETS_THERE, [], DATABASE);
    const ids = new Set(there.map(({ ticket }) => ticket));
    expect(writers.tickets.filter((ticket) => !ids.has(ticket))).toEqual([]);
  });

  test('sequences of every kind go on over three switches without an id that was handed out before', () => {
    expect(writers.tickets.length).toBeGreaterThan(50);
    expect(new Set(writers.tickets).size).toBe(writers.tickets.length);
  });

  test('finalized, the target has the catalog that the source had, and nothing of ours', async () => {
    await finalizeDatabase(move);
    expect(await catalogOf(pair.target, DATABASE)).toEqual(original);
  });
});

describe('what can not go', () => {
  const REFUSED: [kind: string, ddl: string, id: string, severity: string, evidence: RegExp][] = [
    ['tables without identity', 'create table t (a int)', 'no-replica-identity', 'error', /^public\.t: /],
    [
      'tables with a deferrable key',
      'create table t (a int primary key deferrable)',
      'no-replica-identity',
      'error',
      /^public\.t: /,
    ],
    [
      'keys of a generated column',
      'create table t (a int, b int generated always as (a * 2) stored primary key)',
      'replica-identity-generated',
      'error',
      /^public\.t \(b\)$/,
    ],
    [
      'whole rows as identity with a column that has no equality',
      'create table t (a jsonpath); alter table t replica identity full',
      'replica-identity-incomparable',
      'error',
      /^public\.t \(a jsonpath\)$/,
    ],
    [
      'whole rows as identity with such a type inside of another',
      `create domain d as json; create type c as (one point[]);
       create table t (a d, b c[], e json[]); alter table t replica identity full`,
      'replica-identity-incomparable',
      'error',
      /^public\.t \(a public\.d, b public\.c\[\], e json\[\]\)$/,
    ],
    ['unlogged tables', 'create unlogged table t (a int primary key)', 'unlogged-table', 'error', /^public\.t$/],
    [
      'large objects that a table points at',
      'select lo_create(0); create table t (a int primary key, b oid)',
      'large-object-column',
      'error',
      /public\.t\.b$/,
    ],
    ['large objects', 'select lo_create(0)', 'large-objects', 'warning', /^1 large objects/],
    [
      'triggers that fire when changes are applied',
      `create table t (a int primary key);
       create function f() returns trigger language plpgsql as 'begin return new; end';
       create trigger always before insert on t for each row execute function f();
       create trigger replica before insert on t for each row execute function f();
       create trigger ordinary before insert on t for each row execute function f();
       alter table t enable always trigger always, enable replica trigger replica`,
      'always-trigger',
      'error',
      /^always on public\.t \(ENABLE ALWAYS\), replica on public\.t \(ENABLE REPLICA\)$/,
    ],
    [
      'foreign tables',
      `create extension file_fdw; create server f foreign data wrapper file_fdw;
       create foreign table t (a text) server f options (filename '/dev/null')`,
      'foreign-table',
      'warning',
      /^public\.t$/,
    ],
    [
      'contents of materialized views',
      'create materialized view t as select * from good',
      'materialized-view',
      'info',
      /^public\.t$/,
    ],
    [
      'values of sequences that stand in a schema of their own',
      'create schema numbers; create sequence numbers.invoice',
      'sequence-starts-anew',
      'warning',
      /^numbers\.invoice$/,
    ],
    [
      'children whose parents stay behind',
      'create schema old; create table old.parent (a int); create table t (primary key (a)) inherits (old.parent)',
      'table-unknown',
      'error',
      /^public\.t of the source inherits from old\.parent, which would stay/,
    ],
  ];

  test.each(REFUSED)('%s are named before anything is made', async (kind, ddl, id, severity, evidence) => {
    const name = fresh(`refused ${kind}`.slice(0, 60).trim());
    for (const server of [pair.source, pair.target]) await server.createDatabase(name);
    await pair.source.query(`create table good (id int primary key); ${ddl}`, [], name);
    const finding = await find(moveOf(pair, name, { tables: { include: ['public.*'], exclude: [] } }), id);
    expect(finding).toMatchObject({ severity, evidence: expect.stringMatching(evidence) as string });
  });
});

test('rows without a key that Postgres calls equal, though they are written otherwise, are taken for one another: validation says so', async () => {
  const name = fresh('called_equal');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(
    `create table keyless (amount numeric, note text); alter table keyless replica identity full;
     insert into keyless values (1.0), (1.00)`,
    [],
    name,
  );
  const move = moveOf(pair, name);
  expect((await find(move, 'replica-identity-full'))?.severity).toBe('warning');
  await prepareReplication(move);
  await initialSync(move);
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  await pair.source.query(`update keyless set note = 'which?' where amount::text = '1.00'`, [], name);
  expect(await validate(move)).toMatchObject({ verdict: 'different' });
});

test('default privileges and grants of a schema that the target had before stay as they are there', async () => {
  const name = fresh('public_rights');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(
    `create table t (id int primary key); grant create on schema public to app;
     alter default privileges in schema public grant select on tables to app`,
    [],
    name,
  );
  const rights = `select nspacl::text as rights, (select count(*)::int from pg_default_acl) as defaults
                  from pg_namespace where nspname = 'public'`;
  const before = await pair.target.query(rights, [], name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  await initialSync(move);
  expect(await pair.target.query(rights, [], name)).toEqual(before);
});

test('preflight has nothing against any of the kinds that go, and names those that cost something', async () => {
  const name = fresh('looked_at');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(TABLE_KINDS, [], name);
  const findings = await preflightDatabase(moveOf(pair, name));
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  const named = findings.map(({ id }) => id);
  expect(named).toEqual(
    expect.arrayContaining([
      'replica-identity-full',
      'table-inheritance',
      'generated-column',
      'materialized-view',
      'table-rule',
    ]),
  );
});

test('a copy that is begun again finds all its rows equal, of every type; an undo leaves both catalogs as they were', async () => {
  const name = fresh('undone');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(TABLE_KINDS, [], name);
  const catalogs = async (): Promise<string[][]> => [
    await catalogOf(pair.source, name),
    await catalogOf(pair.target, name),
  ];
  const before = await catalogs();
  const move = moveOf(pair, name, { copy: SMALL_RANGES });
  await prepareReplication(move);
  const first = await initialSync(move);
  await undoInitialSync(move);
  const again = await initialSync(move);
  expect({ ...again, rangesKept: 0, copyMs: 0, indexMs: 0 }).toEqual({ ...first, copyMs: 0, indexMs: 0 });
  expect(again.rangesKept).toBe(await finishedRanges(pair, name));
  await undoPreparation(move);
  expect(await catalogs()).toEqual(before);
});

test('tables that the target has already may have their columns in another order, and extensions elsewhere', async () => {
  const name = fresh('other_order');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(
    `create extension citext; create type mood as enum ('calm', 'angry');
     create table keyed (a int, b text, c citext, gone int, d mood[], e int generated always as (a * 2) stored, primary key (b, a));
     alter table keyed drop column gone;
     create table keyless (a int, b citext[], c numeric[]); alter table keyless replica identity full;
     insert into keyed select n, 'b' || n, 'c', '{calm}' from generate_series(1, 100) n;
     insert into keyless select n % 7, '{b}', '{1.0,NULL}' from generate_series(1, 100) n`,
    [],
    name,
  );
  await pair.target.query(
    `create schema extensions; create extension citext schema extensions; create type shifts_numbers as enum ('x');
     create type mood as enum ('calm', 'angry');
     create table keyed (gone text, d mood[], e int generated always as (a * 2) stored, c extensions.citext, b text, a int, primary key (b, a));
     alter table keyed drop column gone;
     create table keyless (c numeric[], b extensions.citext[], a int); alter table keyless replica identity full`,
    [],
    name,
  );
  const move = moveOf(pair, name, { schema: 'existing' });
  await prepareReplication(move);
  await initialSync(move);
  await pair.source.query(
    `update keyed set c = 'C' where a < 9; delete from keyed where a > 90; update keyless set b = '{B}' where a = 3; delete from keyless where a = 5`,
    [],
    name,
  );
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  const rows = (side: 'source' | 'target'): Promise<unknown[]> =>
    pair[side].query('select a, b, c, d, e from keyed order by a', [], name);
  expect(await rows('target')).toEqual(await rows('source'));
  expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
  await pair.target.query(`update keyed set d = '{angry}' where a = 1; delete from keyless where a = 3`, [], name);
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  expect(await rows('source')).toEqual(await rows('target'));
});
