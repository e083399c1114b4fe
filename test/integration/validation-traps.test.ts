/** Every pair that Postgres calls equal or hashes alike, though it isn't the same: on real servers, one value on each side. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Session } from '../../activities/postgres/session.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import type { Dialect } from '../../activities/postgres/validation/expression.js';
import { pin } from '../../activities/postgres/validation/lanes.js';
import { startPair, type ServerPair } from '../support/postgres.js';

const TYPES = `
  create extension citext; create extension hstore;
  create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create type mood as enum ('calm', 'angry');
  create type measure as (amount numeric, unit text);
  create type nested as (inner_one measure, moods mood[]);
  create domain price as numeric;
  create domain prices as numeric[];
  create domain any_name as text collate any_case;
  create domain feeling as mood;
  create domain measured as measure;
  create type spans as range (subtype = interval);
  create type mood_range as range (subtype = mood);
`;
/** Numbers of types are handed out as they come: these make them differ on the target. */
const OTHER_NUMBERS = `create type public.shift_a as enum ('x'); create type public.shift_b as (x int); create schema ext;`;
/** What an operator may have set there; text forms depend on all of it. */
const HOSTILE = [
  `datestyle = 'German, DMY'`,
  `intervalstyle = 'sql_standard'`,
  `timezone = 'Asia/Kathmandu'`,
  `bytea_output = 'escape'`,
  'extra_float_digits = -5',
  `xmlbinary = 'hex'`,
];

/** The hash of jsonb turns by one of 32 bits with every element, so it misses two that are swapped 32 apart. */
function apart(first: number, last: number): string {
  return `'[${first},${'0,'.repeat(31)}${last}]'`;
}

/** Type, one value, another; both are also compared with themselves. */
const PAIRS: [string, string, string, string][] = [
  ['int8 folds to 32 bits', 'int8', '1', '4294967296'],
  ['timestamptz folds to 32 bits', 'timestamptz', `'2000-01-01 00:00:00.000001+00'`, `'2000-01-01 01:11:34.967296+00'`],
  ['timestamp folds to 32 bits', 'timestamp', `'2000-01-01 00:00:00.000001'`, `'2000-01-01 01:11:34.967296'`],
  ['time folds to 32 bits', 'time', `'00:00:00.000001'`, `'01:11:34.967296'`],
  ['timetz of one instant', 'timetz', `'12:00+00'`, `'13:00+01'`],
  ['numeric scale', 'numeric', '1.0', '1.00'],
  ['float8 sign of zero', 'float8', `'0.0'`, `'-0.0'`],
  ['float4 sign of zero', 'float4', `'0.0'`, `'-0.0'`],
  ['float8 last digit', 'float8', '0.1', '0.10000000000000002'],
  ['interval of a day and of 24 hours', 'interval', `'1 day'`, `'24 hours'`],
  ['interval of a month and of 30 days', 'interval', `'1 mon'`, `'30 days'`],
  ['bpchar padding', 'bpchar', `'a'`, `'a '`],
  ['citext', 'citext', `'A'`, `'a'`],
  ['nondeterministic collation', 'text collate any_case', `'A'`, `'a'`],
  ['text with a space', 'text', `'a'`, `'a '`],
  ['varchar with a space', 'varchar(5)', `'a'`, `'a '`],
  ['bool', 'bool', 'true', 'false'],
  ['date', 'date', `'2000-01-01'`, `'1999-12-31'`],
  ['date and infinity', 'date', `'infinity'`, `'-infinity'`],
  ['jsonb with swapped elements', 'jsonb', apart(1, 2), apart(2, 1)],
  ['jsonb scale of a number', 'jsonb', `'[1.0]'`, `'[1.00]'`],
  ['json white space', 'json', `'{"a":1}'`, `'{"a": 1}'`],
  ['xml', 'xml', `'<a/>'`, `'<a></a>'`],
  ['enum label', 'mood', `'calm'`, `'angry'`],
  ['inet with and without a mask', 'inet', `'10.0.0.1/8'`, `'10.0.0.1'`],
  ['bit strings of zeros', 'varbit', `B'0'`, `B'00'`],
  ['point sign of zero', 'point', `'(0,0)'`, `'(-0,0)'`],
  ['path open and closed', 'path', `'[(0,0),(1,1)]'`, `'((0,0),(1,1))'`],
  ['tsvector weights', 'tsvector', `'a:1'`, `'a:1A'`],
  ['money', 'money', '1::money', '1.01::money'],
  ['bytea', 'bytea', `'\\x5c'`, `'\\x5c5c'`],
  ['null and nothing', 'text', 'null', `''`],
  ['regclass', 'regclass', `'pg_class'`, `'pg_type'`],
  ['hstore', 'hstore', `'a=>1'`, `'a=>NULL'`],
  ['array of int8', 'int8[]', `'{1}'`, `'{4294967296}'`],
  ['array of numeric', 'numeric[]', `'{1.0}'`, `'{1.00}'`],
  ['array of float8', 'float8[]', `'{0}'`, `'{-0}'`],
  ['array of interval', 'interval[]', `'{1 day}'`, `'{24 hours}'`],
  ['array of bpchar', 'bpchar[]', `array['a']::bpchar[]`, `array['a ']::bpchar[]`],
  ['array of citext', 'citext[]', `'{A}'`, `'{a}'`],
  ['array of jsonb', 'jsonb[]', `array[${apart(1, 2)}::jsonb]`, `array[${apart(2, 1)}::jsonb]`],
  ['array of enum', 'mood[]', `'{calm}'`, `'{angry}'`],
  ['array of domain', 'price[]', `'{1.0}'`, `'{1.00}'`],
  ['array of composite', 'measure[]', `array[row(1.0,'m')::measure]`, `array[row(1.00,'m')::measure]`],
  ['array of ranges', 'numrange[]', `array[numrange(1.0,2)]`, `array[numrange(1.00,2)]`],
  ['array of timestamptz', 'timestamptz[]', `'{2000-01-01 00:00:00.000001+00}'`, `'{2000-01-01 01:11:34.967296+00}'`],
  ['array of bytea', 'bytea[]', `array['\\x5c']::bytea[]`, `array['\\x5c5c']::bytea[]`],
  ['array with null and with "NULL"', 'text[]', `array[null]::text[]`, `array['NULL']`],
  ['array that begins elsewhere', 'int[]', `'{1}'`, `'[0:0]={1}'`],
  ['array of another shape', 'int[]', `'{1,2}'`, `'{{1,2}}'`],
  ['array that is empty, and null', 'int[]', `'{}'`, 'null'],
  ['range of int8', 'int8range', `'[1,8589934592)'`, `'[4294967296,8589934592)'`],
  ['range of numeric', 'numrange', `'[1.0,2)'`, `'[1.00,2)'`],
  ['range with open and closed bound', 'numrange', `'[1,2)'`, `'[1,2]'`],
  ['range of timestamptz', 'tstzrange', `'[2000-01-01 00:00:00.000001+00,)'`, `'[2000-01-01 01:11:34.967296+00,)'`],
  ['range of interval', 'spans', `'[1 day,2 days)'`, `'[24 hours,2 days)'`],
  ['range of enum', 'mood_range', `'[calm,angry)'`, `'[calm,angry]'`],
  ['multirange of numeric', 'nummultirange', `'{[1.0,2)}'`, `'{[1.00,2)}'`],
  ['domain of numeric', 'price', '1.0', '1.00'],
  ['domain of text of a nondeterministic collation', 'any_name', `'A'`, `'a'`],
  ['domain of an array', 'prices', `'{1.0}'`, `'{1.00}'`],
  ['domain of an enum', 'feeling', `'calm'`, `'angry'`],
  ['domain of a composite', 'measured', `row(1.0,'m')::measure::measured`, `row(1.00,'m')::measure::measured`],
  ['composite with numeric', 'measure', `row(1.0,'m')::measure`, `row(1.00,'m')::measure`],
  ['composite of nulls, and null', 'measure', `row(null,null)::measure`, 'null'],
  ['composite with null and with nothing', 'measure', `row(1,null)::measure`, `row(1,'')::measure`],
  [
    'composite in a composite',
    'nested',
    `row(row(1.0,'m')::measure, '{calm}')::nested`,
    `row(row(1.00,'m')::measure, '{calm}')::nested`,
  ],
  [
    'enum in an array in a composite',
    'nested',
    `row(row(1,'m')::measure, '{calm}')::nested`,
    `row(row(1,'m')::measure, '{angry}')::nested`,
  ],
];

const holdsNull = (...values: string[]): boolean => values.includes('null');
const NEVER_NULL = PAIRS.flatMap(([name, , one, other], index) =>
  holdsNull(one, other) ? [] : [[name, `never_null_${index}`] as const],
);

let pair: ServerPair;
let source: Session;
let target: Session;
beforeAll(async () => {
  pair = await startPair();
  await pair.source.createDatabase('traps');
  // another encoding: bytes differ on disk, values don't
  await pair.target.query(`create database traps template template0 encoding 'LATIN1' locale 'C'`);
  for (const setting of HOSTILE) await pair.target.query(`alter database traps set ${setting}`);
  source = await Session.open('source', pair.source.url('traps'), { purpose: 'test' });
  target = await Session.open('target', pair.target.url('traps'), { purpose: 'test' });
  await target.run(OTHER_NUMBERS);
  for (const session of [source, target]) {
    await pin(session);
    await session.run('set search_path = public');
    await session.run(TYPES);
  }
  for (const session of [source, target]) {
    for (const [index, [, type, one, other]] of PAIRS.entries()) {
      await session.run(`create table t${index} (id int primary key, v ${type});
        insert into t${index} values (1, ${one}), (2, ${other})`);
      if (holdsNull(one, other)) continue;
      await session.run(`create table never_null_${index} (like t${index} including all);
        insert into never_null_${index} select * from t${index};
        alter table never_null_${index} alter v set not null`);
    }
    // as an operator's sessions have it; ours don't
    await session.run('set search_path = pg_catalog');
  }
});
afterAll(async () => {
  await Promise.all([source.close(), target.close()]);
  await pair.destroy();
});

/** Hashes of a table's rows by id. To compare two values, both must have one key: here seed is a constant. */
async function hashes(session: Session, name: string, dialect: Dialect): Promise<Record<string, string>> {
  const [table] = await describeTables(source, target, [{ schema: 'public', name }], dialect);
  const statements = session.side === 'source' ? table?.source : table?.target;
  if (statements === undefined) throw new Error('not described');
  const seeded = statements.hash.replaceAll('r."id"', '7');
  const rows = await session.rows<{ id: number; hash: string }>(
    `select id, (${seeded})::text as hash from public.${name} as r`,
  );
  return Object.fromEntries(rows.map((row) => [row.id, row.hash]));
}

const EVERY = [...PAIRS.map(([name], index) => [name, `t${index}`] as const), ...NEVER_NULL];

test.each(EVERY)('by record, of databases of one encoding: %s, in %s: two values, two hashes', async (_, table) => {
  const here = await hashes(source, table, 'record');
  expect(here['1']).not.toBe(here['2']);
  expect(here['1']).toMatch(/^-?\d+$/);
});

describe.each(['converted', 'text'] as const)('by %s', (dialect) => {
  test.each(EVERY)('%s, in %s: two values, two hashes', async (_, name) => {
    const here = await hashes(source, name, dialect);
    const there = await hashes(target, name, dialect);
    expect(here['1']).not.toBe(here['2']);
    expect(here['1']).toMatch(/^-?\d+$/);
    expect(there).toEqual(here);
  });

  test('sums of unkeyed rows tell values that were swapped between rows', async () => {
    onTestFinished(() => both('drop table if exists public.swapped'));
    await both('create table public.swapped (a text, b text)');
    await source.run(`insert into public.swapped values ('1', 'x'), ('2', 'y')`);
    await target.run(`insert into public.swapped values ('1', 'y'), ('2', 'x')`);
    const [table] = await describeTables(source, target, [{ schema: 'public', name: 'swapped' }], dialect);
    const here = await table?.source.passBuckets(source, 0);
    const there = await table?.target.passBuckets(target, 0);
    expect(here?.get('0')?.count).toBe(2);
    expect(here?.get('0')?.sum).not.toBe(there?.get('0')?.sum);
  });
});

/** Sum of the hashes of all rows, on each side. */
async function sums(name: string): Promise<{ here: string | undefined; there: string | undefined }> {
  const [table] = await describeTables(source, target, [{ schema: 'public', name }], 'record');
  const [here, there] = await Promise.all([table?.source.passBuckets(source, 0), table?.target.passBuckets(target, 0)]);
  return { here: here?.get('0')?.sum, there: there?.get('0')?.sum };
}

test.each([
  ['an integer key', 'bigint', `1`, `4294967296`],
  ['a key of another type', 'uuid', `'00000000-0000-0000-0000-000000000001'`, `'00000000-0000-0000-0000-000000000002'`],
  ['a key without a strict hash', 'numeric', `1`, `2`],
  ['a key that may be null over there', 'text', `'a'`, `'b'`],
])('with %s: values are told that were swapped between rows of which all else is null', async (_, type, one, other) => {
  onTestFinished(() => both('drop table public.sparse'));
  await both(`create table public.sparse (id ${type} primary key, v int not null, w text, x jsonb)`);
  await source.run(`insert into public.sparse values (${one}, 1), (${other}, 2)`);
  await target.run(`insert into public.sparse values (${one}, 2), (${other}, 1)`);
  if (type === 'text') {
    await target.run(
      'alter table public.sparse drop constraint sparse_pkey; alter table public.sparse alter id drop not null',
    );
  }
  const swapped = await sums('sparse');
  expect(swapped.here).not.toBe(swapped.there);
  await target.run('update public.sparse set v = 3 - v');
  const equal = await sums('sparse');
  expect(equal.here).toBe(equal.there);
});

test('a null where there was to be none tells all other columns, too: the constraint may be gone since', async () => {
  onTestFinished(() => both('drop table public.loose'));
  await both('create table public.loose (id int primary key, v text not null, w text)');
  const [table] = await describeTables(source, target, [{ schema: 'public', name: 'loose' }], 'record');
  await both('alter table public.loose alter v drop not null');
  await source.run(`insert into public.loose values (1, null, 'one')`);
  await target.run(`insert into public.loose values (1, null, 'other')`);
  const [here] = (await table?.source.read(source, [['1']])) ?? [];
  const [there] = (await table?.target.read(target, [['1']])) ?? [];
  expect(here?.signature).toMatch(/^-?\d+$/);
  expect(there?.signature).toMatch(/^-?\d+$/);
  expect(here?.signature).not.toBe(there?.signature);
});

test('a column that may be null on one side only compares', async () => {
  onTestFinished(() => both('drop table public.half'));
  await source.run('create table public.half (id int primary key, v text not null)');
  await target.run('create table public.half (id int primary key, v text)');
  await both(`insert into public.half values (1, 'one')`);
  const equal = await sums('half');
  expect(equal.here).toBe(equal.there);
  await target.run('update public.half set v = null');
  const different = await sums('half');
  expect(different.here).not.toBe(different.there);
});

test('text that both encodings know hashes the same, in a column and inside of containers', async () => {
  onTestFinished(() => both('drop table if exists public.umlauts'));
  await both(
    `create table public.umlauts (id int primary key, v text, vs text[], c public.measure, "ü" char(5), x public.citext);
     insert into public.umlauts values (1, 'Grüße', '{Äpfel}', row(1, 'Öre'), 'é', 'Ü')`,
  );
  for (const dialect of ['converted', 'text'] as const) {
    expect(await hashes(source, 'umlauts', dialect)).toEqual(await hashes(target, 'umlauts', dialect));
  }
});

test('columns in another order are compared by name; a column of another type is refused', async () => {
  onTestFinished(() => both('drop table if exists public.ordered'));
  await source.run('create table public.ordered (id int primary key, a int, b text)');
  await target.run('create table public.ordered (b text, id int primary key, a int)');
  await both(`insert into public.ordered (id, a, b) values (1, 2, 'three')`);
  expect(await hashes(source, 'ordered', 'converted')).toEqual(await hashes(target, 'ordered', 'converted'));
  await target.run('alter table public.ordered alter a type bigint');
  await expect(hashes(source, 'ordered', 'converted')).rejects.toMatchObject({ type: 'SchemaMismatch' });
  await target.run('alter table public.ordered drop a');
  await expect(hashes(source, 'ordered', 'converted')).rejects.toMatchObject({ type: 'SchemaMismatch' });
});

test('an extension that lives in another schema over there, as a key too, compares', async () => {
  onTestFinished(async () => {
    await both('drop table if exists public.folk');
    await target.run('alter extension citext set schema public');
  });
  await target.run('alter extension citext set schema ext');
  await source.run('create table public.folk (name public.citext primary key, v public.citext)');
  await target.run('create table public.folk (name ext.citext primary key, v ext.citext)');
  await source.run(`insert into public.folk values ('Anna', 'x')`);
  await target.run(`insert into public.folk values ('anna', 'x')`);
  const [table] = await describeTables(source, target, [{ schema: 'public', name: 'folk' }], 'converted');
  const [here] = (await table?.source.read(source, [['ANNA']])) ?? [];
  const [there] = (await table?.target.read(target, [['ANNA']])) ?? [];
  expect(here?.signature).toMatch(/^-?\d+$/);
  expect(there?.signature).toMatch(/^-?\d+$/);
  expect(here?.signature).not.toBe(there?.signature);
});

async function both(sql: string): Promise<void> {
  await Promise.all([source.run(sql), target.run(sql)]);
}
