/** What else lives on the source, named before anything begins; and what becomes of it. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { fresh } from '../support/fresh-name.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { inputOf } from '../support/switching.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query('create table item (id int primary key, name text)', [], 'shop');
});
afterAll(() => pair.destroy());

const on = (sql: string): Promise<unknown> => pair.source.query(sql, [], 'shop');

test('jobs of pg_cron and pgAgent are named, with what stops them, and never with their commands', async () => {
  onTestFinished(async () => {
    await on('drop schema if exists cron cascade; drop schema if exists pgagent cascade; drop role if exists blind');
  });
  // pg_cron can't be had here; this is its table.
  await on(`
    create schema cron;
    create table cron.job (jobid bigint primary key, schedule text, command text, nodename text, nodeport int, database text,
      username text, active boolean, jobname text);
    insert into cron.job values
      (1, '0 3 * * *', 'delete from item where name = ''secret''', 'localhost', 5432, 'shop', 'app', true, 'nightly'),
      (2, '* * * * *', 'select 1', 'localhost', 5432, 'shop', 'app', false, null),
      (3, '* * * * *', 'select 1', 'localhost', 5432, 'elsewhere', 'app', true, null);
    create schema pgagent;
    create table pgagent.pga_job (jobid int primary key, jobname text, jobenabled boolean);
    insert into pgagent.pga_job values (7, 'weekly', true)`);
  const move = moveOf(pair, 'shop');
  expect(await find(move, 'scheduled-job', 'source')).toMatchObject({
    severity: 'warning',
    evidence: 'job 1 of pg_cron nightly (0 3 * * *, active, as app), job 2 of pg_cron (* * * * *, off, as app)',
    repair: ['Just before the switch, on the source: SELECT cron.alter_job(1, active := false)'],
  });
  await on('drop schema cron cascade');
  expect(await find(move, 'scheduled-job', 'source')).toMatchObject({
    evidence: 'job 7 of pgAgent weekly (enabled)',
    repair: [expect.stringContaining('UPDATE pgagent.pga_job SET jobenabled = false WHERE jobid = 7') as string],
  });

  await pair.source.query(`create role blind login password 'blind'`);
  process.env['TEST_BLIND'] = pair.source.url('shop', 'blind', 'blind');
  const blind = moveOf(pair, 'shop', { source: { env: 'TEST_BLIND' } });
  expect(await find(blind, 'scheduled-jobs-hidden')).toMatchObject({
    severity: 'warning',
    evidence: 'pgagent.pga_job',
  });
  await on('drop schema pgagent cascade');
  expect(await find(move, 'scheduled-job')).toBeUndefined();
});

test('foreign servers and dblink are named with where they lead, and never with a password', async () => {
  onTestFinished(async () => {
    await on('drop function if exists remote(); drop extension if exists postgres_fdw cascade');
  });
  await on(`
    create extension postgres_fdw;
    create server stock foreign data wrapper postgres_fdw options (host 'stock.internal', dbname 'stock', port '5433');
    create user mapping for public server stock options (user 'me', password 'hunter2');
    create function remote() returns void language plpgsql as
      $$ begin perform * from dblink('host=other password=hunter2', 'select 1') as t(a int); end $$`);
  const finding = await find(moveOf(pair, 'shop'), 'leads-elsewhere');
  expect(finding).toMatchObject({
    severity: 'warning',
    evidence:
      'dblink in public.remote(), foreign server stock (postgres_fdw, dbname stock, host stock.internal, port 5433)',
  });
  await on('drop function remote(); drop extension postgres_fdw cascade');
  expect(await find(moveOf(pair, 'shop'), 'leads-elsewhere')).toBeUndefined();
});

test('other publications of the tables are said', async () => {
  onTestFinished(async () => {
    await on('drop publication if exists warehouse');
  });
  await on('create publication warehouse for table item');
  expect(await find(moveOf(pair, 'shop'), 'other-publication', 'source')).toMatchObject({
    severity: 'info',
    evidence: 'warehouse of 1 of them',
  });
});

test('what reads a logical slot of the source gets the changes of the target, too, until finalize', async () => {
  const name = fresh('followed');
  const slot = fresh('debezium');
  const move = await replicatedMove(pair, name, 'create table item (id int primary key, name text)', {
    cutover: { maxPause: 30_000, maxLag: 30_000, attempts: 3, waitBetweenAttempts: 100, window: null },
  });
  onTestFinished(async () => {
    await pair.source.query(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
      [slot],
    );
  });
  await pair.source.query(`select pg_create_logical_replication_slot($1, 'test_decoding')`, [slot], name);
  expect(await find(move, 'logical-slot-stays', 'source')).toMatchObject({
    severity: 'warning',
    evidence: expect.stringMatching(
      new RegExp(`^${slot} \\(logical, test_decoding, database ${name}, inactive, `),
    ) as string,
  });
  expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
  await pair.target.query(`insert into item values (7, 'written on the target')`, [], name);
  await expect
    .poll(
      () =>
        pair.source.query(
          `select from pg_logical_slot_peek_changes($1, null, null) where data like '%written on the target%'`,
          [slot],
          name,
        ),
      { timeout: 60_000 },
    )
    .toHaveLength(1);
});
