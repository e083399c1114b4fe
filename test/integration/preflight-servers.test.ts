import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { findPostgres, PostgresServer } from '../../lab/postgres.js';
import { unprivilegedUser } from '../../lab/user.js';
import { fresh } from '../support/fresh-name.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { prepareReplication, undoPreparation } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s is as long as a switch may take.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query('create table customer (id bigint primary key, name text)', [], 'shop');
});
afterAll(() => pair.destroy());

/** Settings on one side, for one test. */
async function set(server: PostgresServer, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await server.query(`alter system set ${name} = ${value}`);
  await server.restart();
}

beforeEach(async () => {
  for (const server of [pair.source, pair.target]) await server.query('alter system reset all');
});

test.each([
  ['wal-level', 'source', { wal_level: 'replica' }, 'wal_level is replica; expected logical'],
  ['wal-level', 'target', { wal_level: 'replica' }, 'wal_level is replica; expected logical'],
  ['fsync-off', 'source', { fsync: 'off' }, 'fsync is off; expected on'],
  ['fsync-off', 'target', { fsync: 'off' }, 'fsync is off; expected on'],
  ['full-page-writes-off', 'target', { full_page_writes: 'off' }, 'full_page_writes is off; expected on'],
  [
    'slot-wal-limited',
    'source',
    { max_slot_wal_keep_size: "'1GB'" },
    'max_slot_wal_keep_size is 1.07 GB; expected no limit, or at least 17.2 GB',
  ],
  ['old-snapshot-threshold', 'source', { old_snapshot_threshold: "'1h'" }, 'old_snapshot_threshold is 1h; expected -1'],
] as const)('%s is found on the %s, and its repair mends it', async (id, side, settings, evidence) => {
  const server = pair[side];
  await set(server, settings);
  const finding = await find(moveOf(pair, 'shop'), id, side);
  expect(finding).toMatchObject({ id, side, evidence, severity: /^(wal|fsync)/.test(id) ? 'error' : 'warning' });
  expect(await repair(finding, server, 'shop')).not.toEqual([]);
  await expect.poll(() => find(moveOf(pair, 'shop'), id, side)).toBeUndefined();
});

test.each([
  ['no-free-slot', 'max_replication_slots is 1, of which 1 are used; one migration needs 1 replication slot'],
  ['no-free-wal-sender', 'max_wal_senders is 1, of which 0 are used; one migration needs 2 WAL senders'],
  [
    'no-free-logical-worker',
    'max_logical_replication_workers is 0, of which 0 are used; one migration needs 1 logical replication worker',
  ],
  ['no-free-worker-process', 'max_worker_processes is 1, of which 1 are used'],
  ['no-free-origin', 'max_replication_slots is 1, of which 1 are used'],
] as const)('%s is found on both sides, and its repair mends it', async (id, evidence) => {
  const server = id === 'no-free-origin' ? pair.target : pair.source;
  const side = id === 'no-free-origin' ? 'target' : 'source';
  try {
    await server.query(`select pg_create_physical_replication_slot('taken')`);
    if (id === 'no-free-origin') await server.query(`select pg_replication_origin_create('taken')`);
    await set(server, {
      max_replication_slots: '1',
      max_wal_senders: '1',
      max_logical_replication_workers: id === 'no-free-logical-worker' ? '0' : '1',
      max_worker_processes: '1',
    });
    const finding = await find(moveOf(pair, 'shop'), id, side);
    expect(finding).toMatchObject({ severity: 'error' });
    expect(finding?.evidence).toContain(evidence);
    await repair(finding, server, 'shop');
    expect(await find(moveOf(pair, 'shop'), id, side)).toBeUndefined();
  } finally {
    await server.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
    await server.query(`select pg_replication_origin_drop(roname) from pg_replication_origin`);
    await server.query('alter system reset all');
    await server.restart();
  }
});

test('databases of different encodings or locales are told apart', async () => {
  const latin = fresh('latin');
  await pair.target.query(`create database ${latin} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`);
  process.env['TEST_LATIN'] = pair.target.url(latin);
  const move = moveOf(pair, 'shop', { target: { env: 'TEST_LATIN' } });
  expect(await find(move, 'database-encoding')).toMatchObject({
    severity: 'error',
    evidence: 'source UTF8, target LATIN1',
    repair: [`Create the target database anew with ENCODING 'UTF8' TEMPLATE template0`],
  });
  expect(await find(move, 'database-locale')).toMatchObject({
    severity: 'warning',
    evidence: 'source C.UTF-8/C.UTF-8, target C/C (LC_COLLATE/LC_CTYPE)',
  });
});

test('a collation of another version is a warning', async () => {
  onTestFinished(async () => {
    for (const server of [pair.source, pair.target]) await server.query('update pg_database set datcollversion = null');
  });
  // What another operating system would have recorded.
  await pair.source.query(`update pg_database set datcollversion = '2.31' where datname = 'shop'`);
  await pair.target.query(`update pg_database set datcollversion = '2.36' where datname = 'shop'`);
  expect(await find(moveOf(pair, 'shop'), 'collation-version')).toMatchObject({
    severity: 'warning',
    evidence: 'default 2.31, 2.36 (source, target)',
  });
});

test('a standby is refused as the source, and named where it is attached', async () => {
  const binaries = findPostgres() ?? '';
  const folder = join(pair.source.folder, '..', fresh('standby'));
  const user = await unprivilegedUser();
  const backup = ['-D', join(folder, 'data'), '-d', pair.source.url('postgres'), '-R', '-X', 'stream', '-c', 'fast'];
  await promisify(execFile)(join(binaries, 'pg_basebackup'), backup);
  if (user) await promisify(execFile)('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
  const standby = await PostgresServer.start({ name: 'standby', folder, binaries });
  try {
    process.env['TEST_STANDBY'] = standby.url('shop');
    expect(
      await find(moveOf(pair, 'shop', { source: { env: 'TEST_STANDBY' } }), 'in-recovery', 'source'),
    ).toMatchObject({
      severity: 'error',
      repair: ['Give the URL of the primary, or promote this server first'],
    });
    await expect
      .poll(() => find(moveOf(pair, 'shop'), 'standby-attached'))
      .toMatchObject({ severity: 'info', side: 'source' });
    expect(await find(moveOf(pair, 'shop'), 'standby-synchronous')).toBeUndefined();
    await pair.source.query(`alter system set synchronous_standby_names = '*'`);
    await pair.source.query('select pg_reload_conf()');
    await expect
      .poll(() => find(moveOf(pair, 'shop'), 'standby-synchronous'))
      .toMatchObject({ severity: 'info', evidence: 'walreceiver at 127.0.0.1' });
  } finally {
    await pair.source.query('alter system reset synchronous_standby_names');
    await pair.source.query('select pg_reload_conf()');
    await standby.destroy();
  }
});

/** Room for 200 locks on each side, and few of the processes for which Postgres adds some. */
const CRAMPED = {
  max_locks_per_transaction: '10',
  max_connections: '20',
  max_prepared_transactions: '0',
  max_wal_senders: '4',
  max_worker_processes: '4',
  max_logical_replication_workers: '2',
  autovacuum_max_workers: '1',
};
const TABLES = 150;

test('too-few-locks is found on both sides, and what its repair gives is enough to move all tables there and back', async () => {
  const name = fresh('many');
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(
    `do $$ begin
       for i in 1..${TABLES} loop execute format('create table item_%s (id serial primary key, value text)', i); end loop;
     end $$`,
    [],
    name,
  );
  const move = moveOf(pair, name, { copy: { parallelism: 1, rangeSize: 1024 ** 2, rateLimit: null, workers: 2 } });
  for (const server of [pair.source, pair.target]) await set(server, CRAMPED);
  try {
    for (const [side, needed] of [
      ['source', 1.5 * TABLES],
      ['target', 4 * TABLES],
    ] as const) {
      const finding = await find(move, 'too-few-locks', side);
      expect(finding).toMatchObject({ severity: 'error', side });
      expect(finding?.evidence).toContain(
        `max_locks_per_transaction is 10, which makes 200 locks with max_connections + max_prepared_transactions of 20; the tables in scope need ${needed} at once`,
      );
      await repair(finding, pair[side], name);
      expect(await find(move, 'too-few-locks', side)).toBeUndefined();
    }
    await prepareReplication(move);
    await initialSync(move);
    for (const direction of ['forward', 'back'] as const) {
      expect(await switchWrites({ move, direction, mode: 'switch', attempt: 1 })).toMatchObject({ kind: 'switched' });
    }
    await undoPreparation(move);
    expect(await find(move, 'too-few-locks')).toBeUndefined();
  } finally {
    for (const server of [pair.source, pair.target]) {
      await server.query('alter system reset all');
      await server.restart();
    }
  }
});
