/** What an incremental run by change streams believes without a look at the rows, and what it never does. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dropStreams } from '../../activities/reconciliation/streams.js';
import type { NormalReconciliation, RunSummary } from '../../spec/reconciliation.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';
import { until } from '../support/sync.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

const SCHEMA = `
  create table plain (id bigint primary key, value text);
  create table behind (value text, "The Key" integer primary key);
  create table "Two Keys" (a uuid, b text, value numeric, primary key (a, b));
  create table identified (id integer primary key, value text);
  alter table identified replica identity full;
  create table apart (doc text, id integer primary key, value text);
  alter table apart alter column doc set storage external;
  create table generated (id integer primary key, value integer, twice integer generated always as (value * 2) stored)`;
const ROWS = `
  insert into plain select i, 'v' from generate_series(1, 2000) i;
  insert into behind select repeat('v', i), i from generate_series(1, 100) i;
  insert into "Two Keys" select md5(i::text)::uuid, repeat('key', 40), 1.0 from generate_series(1, 100) i;
  insert into identified select i, 'v' from generate_series(1, 100) i;
  insert into apart select repeat('x', 9000), i, 'v' from generate_series(1, 20) i;
  insert into generated select i, i from generate_series(1, 20) i`;
const ALL = 2_000 + 3 * 100 + 2 * 20;

/** A world, of which a full run has just compared all rows. */
async function compared(
  name: string,
  spec: Record<string, unknown> = {},
  made: { schema: string; rows: string; replicated?: boolean } = { schema: SCHEMA, rows: ROWS },
): Promise<{ world: Reconciled; normal: NormalReconciliation; run: () => Promise<RunSummary> }> {
  const world = await Reconciled.start(pair, fresh(name), made);
  const normal = world.normal({ incremental: { by: 'changes' }, ...spec });
  expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
  return { world, normal, run: () => world.run(normal) };
}

async function arrived(world: Reconciled): Promise<void> {
  const [at] = await world.on<{ lsn: string }>('source', 'select pg_current_wal_lsn()::text as lsn');
  await until(
    async () =>
      (
        await world.on(
          'source',
          `select from pg_replication_slots where slot_name = current_database() and confirmed_flush_lsn >= $1::pg_lsn`,
          [at?.lsn],
        )
      ).length === 1,
    'the subscription has caught up',
  );
}

test('rows that both streams left alike are equal, and none of them is read', async () => {
  const { world, normal, run } = await compared('alike');
  await world.on(
    'source',
    `update plain set value = 'new' where id <= 500; delete from plain where id = 7; insert into plain values (3000, 'more');
     insert into plain values (3001, 'and gone'); delete from plain where id = 3001;
     update behind set value = 'new' where "The Key" <= 10`,
  );
  await arrived(world);
  const found = await run();
  expect(found).toMatchObject({ verdict: 'equal', incremental: true, rows: 512 });
  const [kept] = await world.on<{ plain: number; empty: number }>(
    'target',
    `select count(*) filter (where t ->> 'name' = 'plain' and (t ->> 'tookMs')::int > 0)::int as plain,
            count(*) filter (where (t ->> 'rows')::int = 0 and (t ->> 'tookMs')::int > 0)::int as empty
     from godwit.reconciliation_run r, jsonb_array_elements(to_jsonb(r.tables)) t where run = $1`,
    [found.run],
  );
  expect(kept).toEqual({ plain: 1, empty: 0 });
  // whoever reads rows reads pieces
  expect(await world.on('target', 'select from godwit.reconciliation_piece where run = $1', [found.run])).toEqual([]);
  await dropStreams(normal);
});

test('a row that either side left otherwise is found, whatever its key, identity and columns are', async () => {
  const { world, normal, run } = await compared('otherwise');
  await world.on(
    'source',
    `update plain set value = 'new' where id <= 20;
     update behind set value = 'new' where "The Key" <= 20;
     update "Two Keys" set value = 2.0;
     update identified set value = 'new' where id <= 20;
     update identified set id = 1000 where id = 50;
     update plain set id = 5000 where id = 50;
     update generated set value = value + 1`,
  );
  await arrived(world);
  await world.on(
    'target',
    `update plain set value = 'corrupt' where id = 3; delete from plain where id = 4; update plain set id = 6000 where id = 5;
     update behind set value = 'corrupt' where "The Key" = 3;
     update "Two Keys" set value = 2.00 where a = md5('3')::uuid;
     update identified set value = 'corrupt' where id = 1000;
     delete from generated where id = 3`,
  );
  const found = await run();
  expect(found).toMatchObject({ verdict: 'different', incremental: true });
  const key = `eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3,${'key'.repeat(40)}`;
  expect((await world.found(found.run)).sort()).toEqual(
    [
      'behind changed 3 (value)',
      'generated missing 3',
      'identified changed 1000 (value)',
      'plain changed 3 (value)',
      'plain extra 6000',
      'plain missing 4',
      'plain missing 5',
      `Two Keys changed ${key} (value)`,
    ].sort(),
  );
  await dropStreams(normal);
});

test('what messages leave out is looked at: a value stored apart that the last UPDATE left alone', async () => {
  const { world, normal, run } = await compared('left_out');
  await world.on('source', `update apart set doc = repeat('y', 9000) where id in (1, 2)`);
  await arrived(world);
  await world.on('target', `update apart set doc = repeat('z', 9000) where id = 2`);
  await world.on('source', `update apart set value = 'new' where id in (1, 2)`);
  await arrived(world);
  const found = await run();
  expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 2 });
  expect(await world.found(found.run)).toEqual(['apart changed 2 (doc)']);
  await dropStreams(normal);
});

test('a second row of one key is found where the other side’s key is missing', async () => {
  const { world, normal, run } = await compared('second');
  await world.on('target', 'alter table identified drop constraint identified_pkey');
  expect(await run()).toMatchObject({ verdict: 'equal' });
  await world.on('source', `insert into identified values (300, 'new')`);
  await arrived(world);
  await world.on('target', `insert into identified values (300, 'new')`);
  const found = await run();
  expect(found).toMatchObject({ verdict: 'different', incremental: true });
  expect(await world.found(found.run)).toEqual([expect.stringContaining('identified changed 300')]);
  await dropStreams(normal);
});

test.each([
  [
    'a rewrite',
    `alter table plain alter column value type text using case when id = 1500 then 'corrupt' else value end`,
  ],
  [
    'another table of its name',
    `alter table plain rename to kept; create table plain (like kept including all);
     insert into plain select id, case when id = 1500 then 'corrupt' else value end from kept; drop table kept`,
  ],
])('%s, of which no message tells, makes all rows of the table be compared', async (_, sql) => {
  const { world, normal, run } = await compared('rewritten');
  await world.on('target', sql);
  await world.on('source', `update behind set value = 'new' where "The Key" = 1`);
  const found = await run();
  expect(await world.found(found.run)).toEqual(['plain changed 1500 (value)']);
  expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 2_001 });
  await dropStreams(normal);
});

test('so does a column that is added with another default on either side, which no message tells either', async () => {
  const { world, normal, run } = await compared('added');
  await world.on('target', `alter table plain add column more integer default 2`);
  await world.on('source', `alter table plain add column more integer default 1`);
  const found = await run();
  expect(found).toMatchObject({ verdict: 'different', remaining: 2_000 });
  await dropStreams(normal);
});

test('a TRUNCATE on one side is found', async () => {
  const { world, normal, run } = await compared('truncated');
  await world.on('target', 'truncate behind');
  const found = await run();
  expect(found).toMatchObject({ verdict: 'different', remaining: 100 });
  expect(found.rows).toBeLessThan(ALL);
  await dropStreams(normal);
});

test('a commit that waits for no disk is read, and not passed over', async () => {
  const { world, normal, run } = await compared(
    'unflushed',
    { replication: { none: true } },
    { schema: SCHEMA, rows: ROWS, replicated: false },
  );
  await pair.source.query(`alter system set wal_writer_delay = '10s'`);
  await pair.source.query('select pg_reload_conf()');
  try {
    await world.on('source', `set synchronous_commit = off; update plain set value = 'unflushed' where id = 77`);
    const found = await run();
    expect(await world.found(found.run)).toEqual(['plain changed 77 (value)']);
  } finally {
    await pair.source.query('alter system reset wal_writer_delay');
    await pair.source.query('select pg_reload_conf()');
  }
  await dropStreams(normal);
});
