/** What is read out of a change stream: of every message the key of its row, however little of it is asked for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changesOf, streamedFacts, type StreamedTable } from '../../activities/reconciliation/changes.js';
import { LeftRows } from '../../activities/reconciliation/left-rows.js';
import { Session } from '../../activities/postgres/session.js';
import { identifier, literal, nameOf } from '../../activities/postgres/statements.js';
import type { ComparedTable } from '../../activities/postgres/validation/compared-table.js';
import type { Dialect } from '../../activities/postgres/validation/expression.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let server: PostgresServer;

beforeAll(async () => {
  pair = await startPair();
  server = pair.source;
});
afterAll(() => pair.destroy());

/** A table of a database of its own, that a slot has listened to since before `changes`. */
async function streamed(
  create: string,
  changes: string[],
  { names = ['t'], dialect = 'record' }: { names?: string[]; dialect?: Dialect } = {},
): Promise<Map<string, StreamedTable>> {
  const database = fresh('stream');
  await server.createDatabase(database);
  await using session = await Session.open('source', server.url(database), { purpose: 'test' });
  await session.run(create);
  const wanted = names.map((name) => ({ schema: 'public', name }));
  await session.run(
    `create publication ${identifier(database)} for table ${wanted.map(({ name }) => `public.${identifier(name)}`).join(', ')}`,
  );
  await session.rows(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [database]);
  // described as they are before the changes, as both sides' tables are when a run begins
  const tables: ComparedTable[] = await describeTables(session, session, wanted, dialect);
  const facts = await streamedFacts(session, tables);
  for (const sql of changes) await session.run(sql);
  const end = await session.row<{ position: string }>('select pg_current_wal_flush_lsn()::text as position');
  const found = await changesOf(session, {
    name: database,
    position: end?.position ?? '',
    tables,
    facts,
    dialect,
  });
  await session.rows(`select pg_drop_replication_slot(${literal(database)})`);
  if (found === null) throw new Error('it is too much to read');
  return found;
}

const tableOf = (found: Map<string, StreamedTable>, name = 't'): StreamedTable => {
  const table = found.get(nameOf({ schema: 'public', name }));
  if (table === undefined) throw new Error(`nothing is said of ${name}`);
  return table;
};

const keysIn = ({ rows }: StreamedTable): (string | number)[] =>
  rows.unlike(new LeftRows(), false).keys.sort((a, b) => (`${a}` < `${b}` ? -1 : 1));

describe('a change stream tells the key of a row', () => {
  test.each<[string, string, string, (string | number)[]]>([
    [
      'an integer that comes first',
      'create table t (id bigint primary key, v text)',
      `9223372036854775807, 'v'), (-5, 'w'`,
      ['-5', '9223372036854775807'],
    ],
    [
      'a uuid that comes first',
      'create table t (id uuid primary key, v text)',
      `'00000000-0000-0000-0000-00000000000a', 'v'`,
      ['00000000-0000-0000-0000-00000000000a'],
    ],
    [
      'behind a longer column than is asked for at first',
      'create table t (v text, id integer primary key)',
      `repeat('v', 20000), 7`,
      [7],
    ],
    ['behind a null', 'create table t (v text, id integer primary key)', 'null, 7', [7]],
    [
      'a text that is longer than is asked for',
      'create table t (id text primary key, v text)',
      `repeat('käy ', 100), 'v'`,
      ['käy '.repeat(100)],
    ],
    ['digits that are text', 'create table t (id text primary key)', `'007'), ('7'), ('-7'`, ['-7', '007', 7]],
    [
      'two columns, the second one first',
      'create table t (a text, v text, b integer, primary key (b, a))',
      `'"x"', 'v', 3`,
      ['["3","\\"x\\""]'],
    ],
    ['a quoted name', `create table t ("Od""d , '" integer primary key)`, '5', [5]],
  ])('%s', async (_, create, values, keys) => {
    const changes = [`insert into t values (${values})`];
    for (const dialect of ['record', 'text'] as const) {
      const table = tableOf(await streamed(`set search_path = public; ${create}`, changes, { dialect }));
      expect(keysIn(table)).toEqual(keys);
      expect(table).toMatchObject({ whole: false, layout: { identified: true } });
    }
  });

  test('of rows that were updated, deleted, or given another key', async () => {
    const found = await streamed(
      'set search_path = public; create table t (id integer primary key, v text); insert into t select generate_series(1, 9)',
      [`update t set v = 'new' where id = 2`, 'delete from t where id = 3', 'update t set id = 40 where id = 4'],
    );
    expect(keysIn(tableOf(found))).toEqual([2, 3, 4, 40]);
    const same = new LeftRows();
    for (const key of [3, 4]) same.gone(key);
    same.untold(40);
    // what an UPDATE of the key left is looked at
    expect(tableOf(found).rows.unlike(same, true)).toEqual({ keys: [2, 40], alike: 2 });
  });

  test('of rows whose identity is all of their columns, which may be several rows', async () => {
    const table = tableOf(
      await streamed(
        `set search_path = public; create table t (v text, id integer primary key); alter table t replica identity full;
         insert into t select 'old', generate_series(1, 9)`,
        [`update t set v = 'new' where id = 2`, 'delete from t where id = 3', 'update t set id = 40 where id = 4'],
      ),
    );
    expect(keysIn(table)).toEqual([2, 3, 4, 40]);
    expect(table).toMatchObject({ whole: false, layout: { identified: false } });
  });

  test('when columns before it were dropped and added between two changes, but believes no hash then', async () => {
    const table = tableOf(
      await streamed('set search_path = public; create table t (a text, id integer primary key, b text)', [
        `insert into t values ('11', 1, '12')`,
        'alter table t drop column a',
        `insert into t values (2, '22')`,
        'alter table t add column c text; alter table t drop column b',
        `insert into t values (3, '33')`,
      ]),
    );
    expect(keysIn(table)).toEqual([1, 2, 3]);
    expect(table).toMatchObject({ whole: false, layout: null });
  });

  test('behind a value that is stored apart, and that an UPDATE leaves out', async () => {
    const found = await streamed(
      `set search_path = public; create table t (doc text, id integer primary key, v text);
       alter table t alter column doc set storage external; insert into t values (repeat('x', 9000), 1)`,
      [`update t set v = 'new'`],
    );
    expect(keysIn(tableOf(found))).toEqual([1]);
  });
});

test('messages of a change stream come in their order where they need more memory than a statement has', async () => {
  const rows = 30_000;
  const found = await streamed('set search_path = public; create table t (id integer primary key, v text)', [
    `set work_mem = '64kB'`,
    `insert into t select i, repeat('a', 100) from generate_series(1, ${rows}) i`,
    `update t set v = repeat('b', 100)`,
    'delete from t where id % 2 = 0',
  ]);
  const gone = new LeftRows();
  for (let id = 2; id <= rows; id += 2) gone.gone(id);
  const { keys, alike } = tableOf(found).rows.unlike(gone, true);
  expect(alike).toBe(rows / 2);
  expect(keys.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: rows / 2 }, (_, i) => 2 * i + 1));
});

describe('a change stream that tells no key makes all rows of the table be looked at', () => {
  test.each([
    ['TRUNCATE', 'create table t (id integer primary key)', 'truncate t'],
    [
      'an UPDATE, when the identity is another key',
      'create table t (id integer primary key, other integer not null unique); alter table t replica identity using index t_other_key',
      'update t set id = id + 100',
    ],
    [
      'a DELETE, when the identity is another key',
      'create table t (id integer primary key, other integer not null unique); alter table t replica identity using index t_other_key',
      'delete from t where id = 1',
    ],
    [
      'a key of another name',
      'create table t (id integer primary key)',
      'alter table t rename column id to number; delete from t',
    ],
    [
      'a key that is stored apart',
      'create table t (id text primary key, v text); alter table t alter column id set storage external',
      `update t set v = 'new'`,
    ],
  ])('%s', async (_, create, change) => {
    const columns = create.includes('other')
      ? '1, 1'
      : create.includes('text')
        ? `string_agg(md5(i::text), ''), 'v'`
        : '1';
    const from = create.includes('text') ? 'from generate_series(1, 80) i' : '';
    const found = await streamed(
      `set search_path = public; ${create}; insert into t select ${columns} ${from}`,
      change.split('; '),
    );
    expect(tableOf(found).whole).toBe(true);
  });

  test('and no other one', async () => {
    const found = await streamed(
      'set search_path = public; create table t (id integer primary key); create table u (id integer primary key)',
      ['insert into t values (1); insert into u values (1)', 'truncate u'],
      { names: ['t', 'u'] },
    );
    expect(tableOf(found)).toMatchObject({ whole: false });
    expect(tableOf(found, 'u')).toMatchObject({ whole: true });
  });
});
