/** What one look at two real servers tells: DDL, a slot near its end, an apply that fails, references that dangle. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { checkReferences } from '../../activities/postgres/references.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { adoptShape } from '../../activities/postgres/replication/drift.js';
import { giveUpSlot } from '../../activities/postgres/replication/give-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import type { DatabaseMove } from '../../activities/contract.js';
import { lookoutOf, type NormalDatabase } from '../../spec/normal.js';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { prepareReplication, until } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms', logging_collector: 'on' });
});
afterAll(() => pair.destroy());

const TABLES = `
  create table customer (id int primary key, name text unique);
  create table item (id int primary key, customer int references customer, name text);
  insert into customer select n, 'c' || n from generate_series(1, 5) n;
  insert into item select n, 1 + n % 5, 'x' from generate_series(1, 100) n`;

const onSource = (name: string, sql: string): Promise<unknown> => pair.source.query(sql, [], name);
const onTarget = (name: string, sql: string): Promise<unknown> => pair.target.query(sql, [], name);

async function synced(name: string, change: Partial<NormalDatabase> = {}, tables = TABLES): Promise<DatabaseMove> {
  await pair.source.createDatabase(name);
  await pair.target.createDatabase(name);
  await onSource(name, tables);
  const move = moveOf(pair, name, change);
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  return move;
}

describe('DDL on the source', () => {
  test('is told by table and column, and adopted once the target has it, too', async () => {
    const name = fresh('ddl');
    const move = await synced(name);
    expect((await observe(move)).drift).toBeNull();
    await onSource(name, 'alter table item add column colour text');
    await onSource(name, `insert into item values (1000, 1, 'y', 'red')`);
    expect((await observe(move)).drift).toEqual({
      changed: ['source'],
      differences: ['public.item: column colour is missing, on the source text'],
    });
    await expect(adoptShape(move)).rejects.toMatchObject({ type: 'SchemaMismatch' });
    await onTarget(name, 'alter table item add column colour text');
    expect((await observe(move)).drift).toEqual({ changed: ['source', 'target'], differences: [] });
    expect(await adoptShape(move)).toEqual({ adopted: true });
    await catchUp(move);
    expect(await observe(move)).toMatchObject({ drift: null, problems: [] });
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  });

  test('that is undone is no more', async () => {
    const name = fresh('ddl_undone');
    const move = await synced(name);
    await onSource(name, 'alter table item add column colour text');
    expect((await observe(move)).drift).not.toBeNull();
    await onSource(name, 'alter table item drop column colour');
    expect((await observe(move)).drift).toBeNull();
    expect(await adoptShape(move)).toEqual({ adopted: false });
  });

  test('with a default that each side evaluates for itself is adopted, and the next validation finds the rows', async () => {
    const name = fresh('ddl_random');
    const move = await synced(name);
    for (const on of [onSource, onTarget]) {
      await on(name, 'alter table item add column token uuid default gen_random_uuid()');
    }
    expect(await adoptShape(move)).toEqual({ adopted: true });
    expect(await validate(move)).toMatchObject({ verdict: 'different', differences: 100 });
  });

  test('that makes a partition is told, and is not adopted by its shape alone: nobody copied its rows', async () => {
    const name = fresh('ddl_partition');
    const parts = `create table event (at date, id int, primary key (at, id)) partition by range (at);
      create table event_1 partition of event for values from ('2026-01-01') to ('2027-01-01')`;
    const move = await synced(name, {}, parts);
    for (const on of [onSource, onTarget]) {
      await on(name, `create table event_2 partition of event for values from ('2027-01-01') to ('2028-01-01')`);
    }
    const { drift } = await observe(move);
    expect(drift?.differences.join()).toContain('public.event_2');
    await expect(adoptShape(move)).rejects.toMatchObject({ type: 'SchemaMismatch' });
  });
});

describe('a conflict on the target', () => {
  test('is told in the words of its server log, without the row', async () => {
    const name = fresh('conflict');
    const move = await synced(name);
    await onTarget(name, 'create unique index one_colour on item (name) where id > 100');
    await onSource(name, `insert into item values (101, 1, 'secret-row'), (102, 1, 'secret-row')`);
    let problems = '';
    await until(async () => {
      problems = (await observe(move)).problems.join();
      return /failed \d+ times/.test(problems) && problems.includes('one_colour');
    }, 'the words of the error are told');
    expect(problems).toContain('INSERT on public.item: duplicate key value violates unique constraint "one_colour"');
    expect(problems).not.toContain('secret-row');
    await onTarget(name, 'drop index one_colour');
    await catchUp(move);
    expect((await observe(move)).problems).toEqual([]);
  });

  test('that never ends makes the catch-up ask a person, with the same words', async () => {
    const name = fresh('conflict_long');
    const move = await synced(name);
    await onTarget(name, 'alter table item drop column name');
    await onSource(name, `update item set name = 'z'`);
    await expect(catchUp(move, 2_000)).rejects.toMatchObject({
      type: 'ReplicationBroken',
      message: expect.stringContaining('missing replicated column: "name"') as string,
    });
  });
});

describe('the WAL that a slot holds back', () => {
  const limit = (maxRetainedWal: number): Partial<NormalDatabase> => ({
    lookout: { ...lookoutOf({}), maxRetainedWal },
  });
  const fill = (name: string): Promise<unknown> =>
    onSource(name, `insert into item select n, 1, repeat('w', 1000) from generate_series(1001, 9000) n`);

  test('is warned of before the limit, told at it, and given up on demand; the sync then starts anew and keeps what is equal', async () => {
    const name = fresh('wal');
    const move = await synced(name, limit(4 * 2 ** 20));
    await onTarget(name, `alter subscription godwit_${move.key}_forward disable`);
    await fill(name);
    expect((await observe(move)).overLimit).toMatch(/holds back \d+MiB of WAL; lookout.maxRetainedWal allows 4MiB/);
    const roomy = { ...move, database: { ...move.database, ...limit(10 * 2 ** 20) } };
    expect(await observe(roomy)).toMatchObject({ overLimit: null, warnings: [expect.stringContaining('10MiB')] });

    await giveUpSlot(move);
    expect(
      await pair.source.query('select from pg_replication_slots where slot_name like $1', [`%${move.key}%`]),
    ).toEqual([]);
    const figures = await initialSync(move);
    await catchUp(move);
    expect(figures.rangesKept).toBeGreaterThan(0);
    expect(await validate(move)).toMatchObject({ verdict: 'equal', rows: 8_105 });
    expect((await observe(move)).overLimit).toBeNull();
  });

  test('past max_slot_wal_keep_size is lost, which is told; a new sync brings the rows that were missed', async () => {
    const name = fresh('wal_lost');
    const move = await synced(name);
    await onTarget(name, `alter subscription godwit_${move.key}_forward disable`);
    await pair.source.query(`alter system set max_slot_wal_keep_size = '1MB'`);
    await pair.source.query('select pg_reload_conf()');
    try {
      await fill(name);
      const lost = async (): Promise<boolean> => {
        await pair.source.query('select pg_switch_wal()');
        await pair.source.query('checkpoint');
        return (await observe(move)).lost !== null;
      };
      await until(lost, 'the slot is lost');
      expect((await observe(move)).problems.join()).toContain('max_slot_wal_keep_size');
    } finally {
      await pair.source.query('alter system reset max_slot_wal_keep_size');
      await pair.source.query('select pg_reload_conf()');
    }
    await initialSync(move);
    await catchUp(move);
    expect(await observe(move)).toMatchObject({ lost: null, problems: [] });
    expect(await validate(move)).toMatchObject({ verdict: 'equal', rows: 8_105 });
  });
});

describe('foreign keys', () => {
  test('that dangle on the target are named with their count; whole ones are not', async () => {
    const name = fresh('dangling');
    const move = await synced(name);
    await checkReferences(move);
    const past = (sql: string): Promise<unknown> =>
      onTarget(
        name,
        `begin; set local session_replication_role = replica;
         alter table customer disable trigger godwit_fence_${move.key};
         ${sql};
         alter table customer enable always trigger godwit_fence_${move.key}; commit`,
      );
    await past('delete from customer where id = 3');
    await expect(checkReferences(move)).rejects.toMatchObject({
      type: 'ValidationDiffers',
      message: expect.stringContaining(
        '20 rows of public.item without a row in public.customer (item_customer_fkey)',
      ) as string,
    });
    await past(`insert into customer values (3, 'c3')`);
    await checkReferences(move);
  });

  test('of several columns count only where all of them are given, or any with MATCH FULL', async () => {
    const name = fresh('composite');
    const move = await synced(
      name,
      {},
      `create table "Odd.parent" (a int, "b c" text, primary key (a, "b c"));
       create table simple (id int primary key, a int, b text, foreign key (a, b) references "Odd.parent");
       insert into "Odd.parent" values (1, 'x');
       insert into simple values (1, 1, 'x'), (2, 1, null), (3, null, 'nobody')`,
    );
    await checkReferences(move);
  });
});

describe('what waits for the copy', () => {
  test('is told: DDL that queues behind its snapshot, and so everybody behind that', async () => {
    const name = fresh('queue');
    await pair.source.createDatabase(name);
    await pair.target.createDatabase(name);
    await onSource(name, TABLES);
    const move = moveOf(pair, name);
    await prepareReplication(move);
    const holder = await holding(move);
    const waiting = underway(onSource(name, 'alter table item add column colour text'));
    await until(async () => ((await observe(move)).warnings ?? []).length > 0, 'the DDL that waits is told');
    expect((await observe(move)).warnings?.[0]).toContain('for the copy to give a table back');
    await holder();
    await waiting;
  });
});

/** As the copy does: a session of the scope's sync with ACCESS SHARE on its tables. */
async function holding(move: DatabaseMove): Promise<() => Promise<void>> {
  const { Session } = await import('../../activities/postgres/session.js');
  const session = await Session.open('source', move.database.source, { purpose: `${move.key} sync test read 1` });
  onTestFinished(() => session.close());
  await session.run('begin');
  await session.run('lock table public.item in access share mode');
  return () => session.close();
}
