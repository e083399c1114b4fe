import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { fresh } from '../support/fresh-name.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let name = '';
let databases = 0;

beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

const TABLES = `
  create table customer (id bigint primary key, name text not null, age int check (age > 0));
  create table orders (id bigint primary key, customer bigint references customer)`;

beforeEach(async () => {
  databases += 1;
  name = `shop_${databases}`;
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await on('source', TABLES);
});

async function on(side: 'source' | 'target', sql: string): Promise<void> {
  await pair[side].query(sql, [], name);
}

const move = (change: Partial<NormalDatabase> = {}): DatabaseMove => moveOf(pair, name, change);
const existing = (): DatabaseMove => move({ schema: 'existing' });

test('with schema: copy, a relation of the same name on the target is an error', async () => {
  await on('target', 'create view customer as select 1 as id');
  expect(await find(move(), 'target-not-empty')).toMatchObject({
    severity: 'error',
    side: 'target',
    evidence: 'customer exist on the target; schema: copy expects none of them'.replace('customer', 'public.customer'),
  });
  await on('target', 'drop view customer');
  expect(await find(move(), 'target-not-empty')).toBeUndefined();
});

test('with schema: existing, equal empty tables are right, and rows are an error until they are truncated', async () => {
  await on('target', TABLES);
  expect(await find(existing(), 'schema-differs')).toBeUndefined();
  expect(await find(existing(), 'constraint-differs')).toBeUndefined();
  expect(await find(existing(), 'target-rows-present')).toBeUndefined();
  await on('target', `insert into customer values (1, 'x', 1)`);
  const finding = await find(existing(), 'target-rows-present');
  expect(finding).toMatchObject({ severity: 'error', evidence: 'public.customer have rows; expected none' });
  await on('target', `${/TRUNCATE .*/.exec(finding?.repair[0] ?? '')?.[0]} cascade`);
  expect(await find(existing(), 'target-rows-present')).toBeUndefined();
});

test('with schema: existing, a missing table, a missing column and another type are errors', async () => {
  await on('target', 'create table customer (id int primary key, name text not null)');
  const finding = await find(existing(), 'schema-differs');
  expect(finding).toMatchObject({ severity: 'error', side: 'both' });
  expect(finding?.evidence).toMatch(/public\.orders is missing/);
  expect(finding?.evidence).toMatch(/public\.customer: column age is missing/);
  expect(finding?.evidence).toMatch(/public\.customer: column id is integer not null, on the source bigint not null/);
});

test('with schema: existing, a constraint of one side alone is a warning', async () => {
  await on(
    'target',
    `create table customer (id bigint primary key, name text not null unique, age int);
     create table orders (id bigint primary key, customer bigint references customer)`,
  );
  expect(await find(existing(), 'constraint-differs')).toMatchObject({
    severity: 'warning',
    evidence:
      'public.customer: CHECK ((age > 0)) is on the source alone, public.customer: UNIQUE (name) is on the target alone',
  });
});

test('what this very migration has made on the target is no reason to stop it', async () => {
  const own = move();
  await on('target', TABLES);
  for (const side of ['source', 'target'] as const) {
    await on(side, await schemaOfGodwit());
    await pair[side].query(
      `insert into godwit.authority (scope, migration, database, side, epoch, state, system_identifier, timeline)
       values ($1, $2, $3, $4, 1, 'open', '1', 1)`,
      [own.key, own.migration, name, side],
      name,
    );
    await pair[side].query(`insert into godwit.scope_table values ($1, 'public', 'customer', 'r')`, [own.key], name);
  }
  expect(await find(own, 'target-not-empty')).toBeUndefined();
  expect(await find(own, 'scope-taken')).toBeUndefined();
  // For any other migration the tables are taken, and not empty.
  const other = move();
  expect(await find(other, 'target-not-empty')).toBeDefined();
  const taken = await find(other, 'scope-taken', 'source');
  expect(taken).toMatchObject({
    severity: 'error',
    evidence: `${own.migration} (database/${name}) holds public.customer`,
  });
  expect(taken?.repair[0]).toContain(`godwit abort ${own.migration}`);
  expect(await find(move({ tables: { include: ['public.orders'], exclude: [] } }), 'scope-taken')).toBeUndefined();
});

test('a table that needs the row type of one that stays behind is an error when the schema is to be copied', async () => {
  await on('source', 'create table special (id int primary key, of customer)');
  const alone = { include: ['public.special'], exclude: [] };
  expect(await find(move({ tables: alone }), 'table-incomplete')).toMatchObject({ severity: 'error', side: 'source' });
  expect(await find(move(), 'table-incomplete')).toBeUndefined();
});

test('roles that own or may use tables and are not on the target are errors, and the statements make them', async () => {
  const [owner, app] = [fresh('the owner'), fresh('app')];
  await pair.source.query(`create role "${owner}" nologin; create role ${app} login`);
  await on('source', `alter table customer owner to "${owner}"; grant select on orders to ${app}`);
  const finding = await find(move(), 'role-missing');
  expect(finding).toMatchObject({
    severity: 'error',
    side: 'target',
    evidence: `${app}, ${owner}: owners of tables in scope, or holders of grants on them`,
  });
  expect(await repair(finding, pair.target, name)).toEqual([`CREATE ROLE ${app} LOGIN`, `CREATE ROLE "${owner}"`]);
  expect(await find(move(), 'role-missing')).toBeUndefined();
});

test('an extension that the target does not have, or has in another version, is found', async () => {
  await on('source', `create extension citext; create extension pg_trgm version '1.5'`);
  const versions = await find(move(), 'extension-version');
  expect(versions).toMatchObject({ severity: 'warning', evidence: 'pg_trgm 1.5, 1.6 (source, target)' });
  await on('source', /ALTER EXTENSION .*/.exec(versions?.repair[0] ?? '')?.[0] ?? '');
  expect(await find(move(), 'extension-version')).toBeUndefined();
  // As if its files were not on the target: no other server has them either.
  await on('source', `update pg_extension set extname = 'made_up' where extname = 'citext'`);
  expect(await find(move(), 'extension-unavailable')).toMatchObject({
    severity: 'error',
    side: 'target',
    evidence: expect.stringContaining('made_up 1.6') as string,
  });
  await on('source', `update pg_extension set extname = 'pg_repack' where extname = 'made_up'`);
  expect(await find(move(), 'extension-bypasses-fence')).toMatchObject({ severity: 'warning', evidence: 'pg_repack' });
});

async function schemaOfGodwit(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(new URL('../../activities/postgres/sql/schema.sql', import.meta.url), 'utf8');
}
