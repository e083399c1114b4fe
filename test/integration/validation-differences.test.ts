import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isIntact, readCertificate } from '../../activities/postgres/validation/certificate.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicated, type Replicated } from '../support/replicated.js';

const DDL = `
  create type mood as enum ('calm', 'angry');
  create type pair as (left_one numeric, right_one text);
  create schema other;
  create table numbered (
    id bigint primary key, flag boolean, small smallint, big bigint, amount numeric, ratio double precision,
    label text, padded char(8), raw bytea, at timestamptz, span interval, doc jsonb, ident uuid, feeling mood,
    feelings mood[], both_of pair, period tstzrange);
  create table named (name text primary key, value int);
  create table composed (tenant uuid, "Key:hash $1" text, value text, primary key (tenant, "Key:hash $1"));
  create table other."odd "" name" ("select" int primary key, "a:hash" text);
  create table keyless (a int, b text);
  alter table keyless replica identity full;
  create table sparse (id bigint primary key, value text);
  create table parted (id int, region text, value text, primary key (id, region)) partition by list (region);
  create table parted_eu partition of parted for values in ('eu');
  create table parted_us partition of parted for values in ('us');
  create table blank (id int primary key);
  create table left_out (id int primary key);
`;
const ROWS = `
  insert into numbered
  select i, i % 2 = 0, i % 100, i::bigint * 1000000, i / 10.0, i / 3.0, 'label ' || i, 'p' || i % 10, decode(md5(i::text), 'hex'),
    timestamptz '2026-01-01' + i * interval '1 minute', i * interval '1 hour', jsonb_build_object('a', i, 'b', -i),
    md5(i::text)::uuid, case when i % 3 = 0 then 'calm' else 'angry' end::mood, array['calm']::mood[], row(i, 'x')::pair,
    tstzrange(timestamptz '2026-01-01', timestamptz '2026-01-01' + i * interval '1 minute')
  from generate_series(1, 5000) i;
  insert into named select 'name ' || i, i from generate_series(1, 3000) i;
  insert into composed select md5((i % 10)::text)::uuid, 'key ' || i, 'value' from generate_series(1, 3000) i;
  insert into other."odd "" name" select i, 'x' from generate_series(1, 100) i;
  insert into keyless select i % 100, 'b' from generate_series(1, 1000) i;
  insert into sparse values (-9223372036854775808, 'lowest'), (0, 'nought'), (9223372036854775807, 'highest');
  insert into sparse select i, 'dense' from generate_series(1, 3000) i;
  insert into parted select i, case when i % 2 = 0 then 'eu' else 'us' end, 'v' from generate_series(1, 500) i;
`;

let pair: ServerPair;
let scene: Replicated;
async function setScene(): Promise<void> {
  const validation = { parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: ['public.left_out'] };
  scene = await replicated(pair, fresh('differences'), DDL, { rows: ROWS, change: { validation } });
}
beforeAll(async () => {
  pair = await startPair();
  await setScene();
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  // It has left differences.
  await scene.close();
  await setScene();
});
afterAll(async () => {
  await scene.close();
  await pair.destroy();
});

/** Changes the target behind replication's back, and gives what has to be undone by the same way. */
async function found(): Promise<{ verdict: string; differences: number; rows: string[] }> {
  const summary = await validate(scene.move);
  const rows = await scene.target.rows<{ row: string }>(
    `select table_name || ' ' || kind || ' ' || array_to_string(key, '|') || ' ' || state as row
     from godwit.validation_difference where certificate = $1 order by 1`,
    [summary.id],
  );
  return { verdict: summary.verdict, differences: summary.differences, rows: rows.map(({ row }) => row) };
}

test('sides that are the same get an intact certificate that says of what, as of when, and how', async () => {
  const summary = await validate(scene.move);
  expect(summary).toMatchObject({
    verdict: 'equal',
    differences: 0,
    tables: 9,
    rows: 5000 + 3000 + 3000 + 100 + 1000 + 3003 + 500,
  });
  const certificate = await readCertificate(scene.target, summary.id);
  expect(certificate).toMatchObject({ verdict: 'equal', lsn: summary.lsn, primary: 'source' });
  if (certificate === null) throw new Error('not kept');
  expect(isIntact(certificate)).toBe(true);
  expect(isIntact({ ...certificate, differences: 1 })).toBe(false);
  expect(certificate.exclusions).toEqual([{ schema: 'public', name: 'left_out', why: 'validation.exclude' }]);
  expect(certificate.servers.source.version).toMatch(/^\d+/);
  expect(certificate.tables.map((table) => `${table.name} ${table.key}`)).toEqual([
    'odd " name integer',
    'blank integer',
    'composed columns',
    'keyless none',
    'named columns',
    'numbered integer',
    'parted_eu columns',
    'parted_us columns',
    'sparse integer',
  ]);
  expect(certificate.tables.find((table) => table.name === 'numbered')?.expression.form).toContain('seeded by id');
});

const CHANGES: [string, string, string][] = [
  ['flag', 'not flag', 'bool'],
  ['small', 'small + 1', 'int2'],
  ['big', 'big # 4294967297', 'int8 whose halves fold to the same'],
  ['amount', 'amount::text::numeric(10,3)', 'numeric scale'],
  ['ratio', '-ratio', 'float8'],
  ['label', `label || ' '`, 'text'],
  ['padded', `'q'`, 'char'],
  ['raw', `raw || '\\x00'`, 'bytea'],
  ['at', `at + interval '1 microsecond'`, 'timestamptz'],
  ['span', `make_interval(days => (id / 24)::int)`, 'interval of days for hours'],
  ['doc', `jsonb_build_object('a', doc->'b', 'b', doc->'a')`, 'jsonb with swapped elements'],
  ['ident', `md5('x')::uuid`, 'uuid'],
  ['feeling', `case feeling when 'calm' then 'angry' else 'calm' end::mood`, 'enum'],
  ['feelings', `'{angry}'`, 'array of an enum'],
  ['both_of', `row((both_of).left_one::numeric(8,3), (both_of).right_one)::pair`, 'composite with numeric scale'],
  ['period', `tstzrange(lower(period), upper(period), '[]')`, 'range'],
  ['label', 'null', 'null'],
];

test('a changed value of every type is found, and nothing else', async () => {
  let id = 24;
  for (const [column, value] of CHANGES) {
    await scene.target.run(`update numbered set ${column} = ${value} where id = ${id}`);
    id += 24;
  }
  const ids = CHANGES.map((_, index) => `numbered changed ${24 + index * 24} confirmed`);
  const all = await found();
  expect(all.rows).toEqual(ids.sort());
  expect(all.verdict).toBe('different');
  await restore('numbered', 'id % 24 = 0');
});

/** Rows that the test took from the target come again through the source. */
async function restore(table: string, condition: string): Promise<void> {
  await scene.target.run(`delete from ${table} where ${condition}`);
  await scene.source.run(`create temp table kept as select * from ${table} where ${condition}`);
  await scene.source.run(`delete from ${table} where ${condition}`);
  await scene.source.run(`insert into ${table} select * from kept`);
  await scene.source.run('drop table kept');
  await scene.caughtUp();
}

test('rows that are missing, extra or changed are found in every kind of table', async () => {
  await scene.target.run(`
    delete from numbered where id = 77;
    insert into numbered (id) values (-5), (9999999999);
    delete from named where name = 'name 5';
    insert into named values ('name x', 1);
    update named set value = 0 where name = 'name 7';
    update composed set value = 'other' where "Key:hash $1" = 'key 9';
    update other."odd "" name" set "a:hash" = 'y' where "select" = 3;
    update sparse set value = 'x' where id in (-9223372036854775808, 9223372036854775807, 5);
    delete from parted where id = 3;
    insert into blank values (1);
  `);
  const all = await found();
  const tenant = await scene.source.row<{ tenant: string }>(`select md5('9')::uuid::text as tenant`);
  expect(all.rows).toEqual(
    [
      'blank extra 1 confirmed',
      `composed changed ${tenant?.tenant}|key 9 confirmed`,
      'named changed name 7 confirmed',
      'named extra name x confirmed',
      'named missing name 5 confirmed',
      'numbered extra -5 confirmed',
      'numbered extra 9999999999 confirmed',
      'numbered missing 77 confirmed',
      'odd " name changed 3 confirmed',
      'parted_us missing 3|us confirmed',
      'sparse changed -9223372036854775808 confirmed',
      'sparse changed 5 confirmed',
      'sparse changed 9223372036854775807 confirmed',
    ].sort(),
  );
  await scene.target.run(`
    delete from numbered where id in (-5, 9999999999);
    delete from named where name = 'name x';
    delete from blank;
  `);
  await restore('numbered', 'id = 77');
  await restore('named', `name in ('name 5', 'name 7')`);
  await restore('composed', `"Key:hash $1" = 'key 9'`);
  await restore('other."odd "" name"', '"select" = 3');
  await restore('sparse', 'id in (-9223372036854775808, 9223372036854775807, 5)');
  await restore('parted_us', 'id = 3');
  expect(await found()).toEqual({ verdict: 'equal', differences: 0, rows: [] });
});

test('values swapped between two rows are found, with an integer key and with any other', async () => {
  await scene.target.run(`
    update numbered a set label = b.label from numbered b where (a.id, b.id) in ((1001, 1002), (1002, 1001));
    update named a set value = b.value from named b where (a.name, b.name) in (('name 1', 'name 2'), ('name 2', 'name 1'));
  `);
  expect((await found()).rows).toEqual([
    'named changed name 1 confirmed',
    'named changed name 2 confirmed',
    'numbered changed 1001 confirmed',
    'numbered changed 1002 confirmed',
  ]);
  await restore('numbered', 'id in (1001, 1002)');
  await restore('named', `name in ('name 1', 'name 2')`);
});

test('without a key, values swapped between two rows and a row that occurs once too often are found', async () => {
  await scene.target.run(`update keyless set b = 'c' where ctid in (select ctid from keyless where a = 1 limit 1)`);
  await scene.source.run(`insert into keyless values (500, 'left'), (501, 'right')`);
  await scene.caughtUp();
  const one = await found();
  expect([one.verdict, one.differences]).toEqual(['different', 2]);
  await scene.target.run(`update keyless set b = 'b' where b = 'c'`);
  expect((await found()).verdict).toBe('equal');
  await scene.target.run(`update keyless set b = case b when 'left' then 'right' else 'left' end where a >= 500`);
  expect((await found()).differences).toBe(4);
  await scene.target.run(`update keyless set b = case b when 'left' then 'right' else 'left' end where a >= 500`);
  await scene.target.run(`insert into keyless select * from keyless where a = 500`);
  expect((await found()).differences).toBe(1);
  await scene.target.run(`delete from keyless where ctid in (select ctid from keyless where a = 500 limit 1)`);
});

test('a truncated table is found without listing it whole', async () => {
  await scene.target.run('truncate numbered');
  const summary = await validate(scene.move);
  const certificate = await readCertificate(scene.target, summary.id);
  expect(summary.verdict).toBe('different');
  expect(certificate?.tables.find((table) => table.name === 'numbered')).toMatchObject({
    stopped: true,
    differences: 1000,
  });
  expect(JSON.stringify([summary, certificate])).not.toContain('label 1');
  await restore('numbered', 'true');
});

test('keys go with the scope: removing its authority row leaves none of it', async () => {
  await scene.target.run('insert into blank values (7)');
  await validate(scene.move);
  await scene.target.run('delete from godwit.authority');
  const left = await scene.target.row<{ count: string }>(
    'select (select count(*) from godwit.certificate) + (select count(*) from godwit.validation_difference) as count',
  );
  expect(left?.count).toBe('0');
});
