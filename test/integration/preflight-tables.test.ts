import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let name = '';
let databases = 0;

beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

beforeEach(async () => {
  databases += 1;
  name = `shop_${databases}`;
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await on('source', 'create table good (id bigint primary key, name text)');
});

async function on(side: 'source' | 'target', sql: string): Promise<void> {
  await pair[side].query(sql, [], name);
}

const move = (change: Partial<NormalDatabase> = {}): DatabaseMove => moveOf(pair, name, change);

test('a table without a primary key gets REPLICA IDENTITY FULL as repair, and a warning after it', async () => {
  await on('source', 'create table events (at timestamptz, what text)');
  const finding = await find(move(), 'no-replica-identity');
  expect(finding).toMatchObject({ severity: 'error', side: 'source' });
  expect(finding?.evidence).toMatch(/^public\.events: /);
  expect(await repair(finding, pair.source, name)).toEqual(['ALTER TABLE public.events REPLICA IDENTITY FULL']);
  expect(await find(move(), 'no-replica-identity')).toBeUndefined();
  expect(await find(move(), 'replica-identity-full')).toMatchObject({ severity: 'warning' });
});

test('a unique index over columns that are never null is offered as identity', async () => {
  await on('source', 'create table events (tag text not null, note text); create unique index by_tag on events (tag)');
  const finding = await find(move(), 'no-replica-identity');
  expect(await repair(finding, pair.source, name)).toEqual([
    'ALTER TABLE public.events REPLICA IDENTITY USING INDEX by_tag',
  ]);
  expect(await find(move(), 'no-replica-identity')).toBeUndefined();
});

test('neither a deferrable key, nor a partial, nullable or expression index, nor an identity of NOTHING will do', async () => {
  await on(
    'source',
    `create table deferred (id int primary key deferrable);
     create table partial (id int not null); create unique index on partial (id) where id > 0;
     create table nullable (id int); create unique index on nullable (id);
     create table expression (id int not null); create unique index on expression ((id + 1));
     create table "No Thing" (id int primary key); alter table "No Thing" replica identity nothing`,
  );
  const finding = await find(move(), 'no-replica-identity');
  expect(finding?.evidence).toMatch(
    /^public\."No Thing", public\.deferred, public\.expression, public\.nullable, public\.partial: /,
  );
  await repair(finding, pair.source, name);
  expect(await find(move(), 'no-replica-identity')).toBeUndefined();
});

test('partitions need an identity, their parent does not', async () => {
  await on(
    'source',
    `create table parts (id int) partition by range (id); create table part_1 partition of parts for values from (0) to (9)`,
  );
  expect((await find(move(), 'no-replica-identity'))?.evidence).toMatch(/^public\.part_1: /);
});

test('an identity of whole rows with a type that has no equality is an error', async () => {
  await on('source', 'create table notes (body json, at point[]); alter table notes replica identity full');
  const finding = await find(move(), 'replica-identity-incomparable');
  expect(finding).toMatchObject({ severity: 'error', evidence: 'public.notes (body json, at point[])' });
  expect(await find(move(), 'replica-identity-full')).toBeUndefined();
});

test('an unlogged table in scope is an error until it is logged or excluded', async () => {
  await on('source', 'create unlogged table cache (id int primary key)');
  const finding = await find(move(), 'unlogged-table');
  expect(finding).toMatchObject({ severity: 'error', evidence: 'public.cache' });
  expect(
    await find(move({ tables: { include: ['*.*'], exclude: ['public.cac*'] } }), 'unlogged-table'),
  ).toBeUndefined();
  await repair(finding, pair.source, name);
  expect(await find(move(), 'unlogged-table')).toBeUndefined();
});

test('unlogged tables that are asked for are carried, with what of the pause they need; an unlogged partition is named', async () => {
  await on(
    'source',
    `create unlogged table cache (id int primary key); create unlogged table session (id int, data text);
     insert into session select n, repeat('x', 1000) from generate_series(1, 2000) n`,
  );
  const tables = {
    include: ['*.*'],
    exclude: [],
    unlogged: { 'public.cache': 'empty', 'public.session': 'copy' },
  } as const;
  const asked = (maxPause: number): DatabaseMove =>
    move({
      tables: { ...tables, include: ['*.*'], exclude: [] },
      cutover: { maxPause, maxLag: 5_000, attempts: 1, waitBetweenAttempts: 0, window: null },
    });
  expect(await find(asked(5_000), 'unlogged-table')).toBeUndefined();
  // Without a key, since no replication has to name its rows.
  expect(await find(asked(5_000), 'no-replica-identity')).toBeUndefined();
  expect(await find(asked(5_000), 'unlogged-carried')).toMatchObject({
    severity: 'info',
    evidence: expect.stringMatching(
      /^copied: public\.session, 2\.\d+ MB with indexes, about \S+ of the 5s that cutover\.maxPause allows; left empty: public\.cache$/,
    ) as string,
  });
  expect(await find(asked(5_000), 'unlogged-over-budget')).toBeUndefined();
  expect(await find(asked(10), 'unlogged-over-budget')).toMatchObject({ severity: 'warning' });

  await on(
    'source',
    `create table day (at date primary key) partition by range (at);
     create unlogged table day_1 partition of day for values from ('2025-01-01') to ('2025-01-02')`,
  );
  const parts = { include: ['public.day'], exclude: [] };
  expect((await find(move({ tables: parts }), 'unlogged-table'))?.evidence).toBe('public.day_1');
  expect((await find(move({ tables: parts }), 'table-unknown'))?.evidence).toMatch(
    /public\.day_1 .* is unlogged and a part/,
  );
});

test('materialized views are told apart by what a refresh does to their readers, and by who may', async () => {
  await on(
    'source',
    `create view wide as select * from good;
     create materialized view keyed as select * from wide; create unique index on keyed (id);
     create materialized view free as select count(*) from keyed; create materialized view apart as select 1;
     create materialized view empty as select * from good with no data`,
  );
  const evidence = async (id: string): Promise<string | undefined> => (await find(move(), id))?.evidence;
  expect(await evidence('materialized-view')).toBe('public.keyed, public.free');
  expect(await evidence('materialized-view-locked')).toBe('public.free');
  expect(await evidence('materialized-view-stale')).toBeUndefined();
});

test('foreign tables, materialized views, generated columns, inheritance and temporary tables are named', async () => {
  await on(
    'source',
    `create extension file_fdw; create server files foreign data wrapper file_fdw;
     create foreign table outside (line text) server files options (filename '/dev/null');
     create materialized view totals as select count(*) from good;
     create table priced (id int primary key, net int, gross int generated always as (net * 2) stored);
     create table parent (id int primary key); create table child (primary key (id)) inherits (parent)`,
  );
  expect(await find(move(), 'foreign-table')).toMatchObject({ severity: 'warning', evidence: 'public.outside' });
  expect(await find(move(), 'materialized-view')).toMatchObject({ severity: 'info', evidence: 'public.totals' });
  expect(await find(move(), 'generated-column')).toMatchObject({ severity: 'info', evidence: 'public.priced.gross' });
  const inheritance = await find(move(), 'table-inheritance');
  expect(inheritance).toMatchObject({ severity: 'warning', evidence: 'public.child inherits from public.parent' });
  await repair(inheritance, pair.source, name);
  expect(await find(move(), 'table-inheritance')).toBeUndefined();
  expect(await find(move(), 'temporary-table')).toBeUndefined();
});

test('a temporary table of a session is said', async () => {
  await using session = await sessionOn(name);
  await session.run('create temporary table scratch (id int)');
  expect(await find(move(), 'temporary-table')).toMatchObject({ severity: 'info' });
});

test('large objects are a warning, and an error when a table in scope points at them', async () => {
  await on('source', 'select lo_create(0)');
  expect(await find(move(), 'large-objects')).toMatchObject({
    severity: 'warning',
    evidence: expect.stringMatching(/^1 large objects; no column/) as string,
  });
  await on('source', 'create table pictures (id int primary key, picture oid)');
  expect(await find(move(), 'large-object-column')).toMatchObject({
    severity: 'error',
    evidence: '1 large objects; columns that may point at them: public.pictures.picture',
  });
  await on('source', 'select lo_unlink(oid) from pg_largeobject_metadata');
  expect(await find(move(), 'large-object-column')).toBeUndefined();
});

test('a foreign key over the border of the scope is a warning, from either end', async () => {
  await on(
    'source',
    `create table inside (id int primary key, good bigint references good);
     create table outside (id int primary key, inside int constraint to_inside references inside)`,
  );
  const tables = { include: ['public.inside'], exclude: [] };
  const finding = await find(move({ tables }), 'foreign-key-crosses-scope');
  expect(finding).toMatchObject({
    severity: 'warning',
    evidence:
      'inside_good_fkey from public.inside to public.good (public.good is outside), ' +
      'to_inside from public.outside to public.inside (public.outside is outside)',
  });
  expect(finding?.repair[1]).toBe(
    'Name public.outside in tables.include, or: ALTER TABLE public.outside DROP CONSTRAINT to_inside',
  );
  for (const text of finding?.repair ?? []) await on('source', /or: (ALTER .*)/.exec(text)?.[1] ?? '');
  expect(await find(move({ tables }), 'foreign-key-crosses-scope')).toBeUndefined();
  expect(await find(move(), 'foreign-key-crosses-scope')).toBeUndefined();
});

test('a sequence near its end and a key near the end of its type are warnings, and widening mends both', async () => {
  await on(
    'source',
    `create table counted (id serial primary key); select setval('counted_id_seq', 2000000000);
     insert into counted default values;
     create table small (id smallint primary key); insert into small values (32000);
     create sequence descending increment -1 minvalue -100 maxvalue -1 start -1; select setval('descending', -95)`,
  );
  const sequences = await find(move(), 'sequence-near-end');
  expect(sequences).toMatchObject({
    severity: 'warning',
    evidence: 'public.counted_id_seq is at 2000000001 of 2147483647 (93 %), public.descending is at -95 of -100 (94 %)',
  });
  const keys = await find(move(), 'key-near-overflow');
  expect(keys?.evidence).toBe('public.counted.id (int4) is used to 93 %, public.small.id (int2) is used to 97 %');
  await repair(keys, pair.source, name);
  expect(await find(move(), 'key-near-overflow')).toBeUndefined();
  await on('source', 'drop sequence descending');
  await on('source', (sequences?.repair[0] ?? '').toString());
  expect(await find(move(), 'sequence-near-end')).toBeUndefined();
});

test('the size of what is to be moved is said', async () => {
  expect(await find(move(), 'disk-space')).toMatchObject({
    severity: 'info',
    side: 'target',
    evidence: expect.stringMatching(/^1 tables with .* of indexes$/) as string,
  });
});

async function sessionOn(database: string) {
  const { Session } = await import('../../activities/postgres/session.js');
  return Session.open('source', pair.source.url(database), { purpose: 'test' });
}
