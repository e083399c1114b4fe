import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MockActivityEnvironment } from '@temporalio/testing';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import type { DatabaseMove } from '../../activities/contract.js';
import { moduleCommand } from '../../lab/module-command.js';
import type { Progress } from '../../spec/status.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { digestOf, finishedRanges, prepareReplication, until } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  // Version 15 starts at most one apply worker in this time, whichever subscription wants it.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());

/** Eleven seconds for all rows: whoever sees that some ranges are copied has time to break in. */
const SLOW = { parallelism: 2, rangeSize: 256 * 1024, rateLimit: 1_000_000 };
const FAST = { ...SLOW, rateLimit: null };

async function database(name: string): Promise<void> {
  await pair.source.createDatabase(name);
  await pair.target.createDatabase(name);
  await pair.source.query(
    `create table item (id bigint primary key, name text);
     insert into item select i, repeat(md5(i::text), 8) from generate_series(1, 40000) i;
     create table heap (a text); alter table heap replica identity full;
     insert into heap select repeat('h', 100) || i from generate_series(1, 3000) i;
     create index on item (name);`,
    [],
    name,
  );
}

function child(move: DatabaseMove): ChildProcess {
  const { command, args } = moduleCommand(import.meta.url, '../support/sync-child');
  const started = spawn(command, [...args, JSON.stringify(move)], { stdio: 'ignore', env: process.env });
  onTestFinished(() => void started.kill('SIGKILL'));
  return started;
}

async function killed(process: ChildProcess): Promise<void> {
  const ended = once(process, 'exit');
  process.kill('SIGKILL');
  await ended;
}

const slots = ({ key }: DatabaseMove): Promise<unknown[]> =>
  pair.source.query('select slot_name from pg_replication_slots where slot_name ~ $1', [key]);

describe('an interrupted initial sync', () => {
  test('killed in the middle of the rows, it keeps ranges that still match and copies the others again', async () => {
    const name = fresh('killed');
    await database(name);
    const move = moveOf(pair, name, { copy: SLOW });
    await prepareReplication(move);
    const process = child(move);
    await until(async () => (await finishedRanges(pair, name)) >= 8, '8 ranges are copied');
    await killed(process);
    expect(await slots(move)).toHaveLength(1);

    // Changes to finished ranges: an update, a delete, an insert, and two values that change places.
    const finished = await pair.target.query<{ lo: string }>(
      `select lo from godwit.copy_range where state = 'done' and kind = 'key' and lo is not null order by seq`,
      [],
      name,
    );
    const [first, second, third] = finished.map((range) => Number(range.lo));
    await pair.source.query(
      `update item set name = 'changed' where id = ${first}; delete from item where id = ${second};
       insert into item values (-5, 'new');
       update item i set name = j.name from item j
       where (i.id, j.id) in ((${Number(third)} + 1, ${Number(third)} + 2), (${Number(third)} + 2, ${Number(third)} + 1));`,
      [],
      name,
    );

    const figures = await initialSync({ ...move, database: { ...move.database, copy: FAST } });
    expect(figures.rangesKept).toBeGreaterThan(0);
    expect(figures.rows).toBe(43_000);
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    expect(await slots(move)).toHaveLength(1);
    await undoInitialSync(move);
  });

  test('cancelled, it ends within seconds, leaves no slot and no connection, and goes on when run again', async () => {
    const name = fresh('paused');
    await database(name);
    const move = moveOf(pair, name, { copy: SLOW });
    await prepareReplication(move);
    const environment = new MockActivityEnvironment();
    const heartbeats: Progress[] = [];
    environment.on('heartbeat', (progress: Progress) => heartbeats.push(progress));
    const copying = environment.run(initialSync, move).then(
      () => null,
      (error: unknown) => error,
    );
    await until(async () => (await finishedRanges(pair, name)) >= 8, '8 ranges are copied');
    const asked = performance.now();
    environment.cancel();
    expect(await copying).toBeInstanceOf(CancelledFailure);
    expect(performance.now() - asked).toBeLessThan(7_000);
    expect(heartbeats.some((progress) => progress.what === 'ranges' && progress.bytesTotal > progress.bytesDone)).toBe(
      true,
    );
    expect(await slots(move)).toEqual([]);
    for (const server of [pair.source, pair.target]) {
      expect(
        await server.query(`select application_name from pg_stat_activity where application_name ~ $1`, [move.key]),
      ).toEqual([]);
    }

    const figures = await initialSync({ ...move, database: { ...move.database, copy: FAST } });
    expect(figures.rangesKept).toBeGreaterThanOrEqual(8);
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    await undoInitialSync(move);
  });

  test('with all rows there and only the subscription missing, it starts replication from the slot and copies nothing', async () => {
    const name = fresh('rows');
    await database(name);
    const move = moveOf(pair, name, { copy: FAST });
    await prepareReplication(move);
    const lock = await connect(pair.target.url(name));
    await lock.query('begin; lock table pg_subscription in share mode');
    const process = child(move);
    await until(async () => {
      const waiting = await pair.target.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and query ~* '^create subscription' and datname = '${name}'`,
      );
      return waiting.length > 0;
    }, 'only the subscription is missing');
    await killed(process);
    await lock.query('rollback');
    await lock.end();
    const before = await slots(move);
    await pair.source.query(`insert into item values (-1, 'between')`, [], name);
    const figures = await initialSync(move);
    expect(figures.rows).toBe(43_000);
    expect(figures.rangesKept).toBe(0);
    expect(await slots(move)).toEqual(before);
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    const indexes = `select indexname from pg_indexes where schemaname = 'public' order by 1`;
    expect(await pair.target.query(indexes, [], name)).toEqual(await pair.source.query(indexes, [], name));
    await undoInitialSync(move);
  });

  test('a second run takes over from a first that still copies', async () => {
    const name = fresh('twice');
    await database(name);
    const move = moveOf(pair, name, { copy: SLOW });
    await prepareReplication(move);
    const first = initialSync(move).then(
      () => 'done',
      () => 'ended',
    );
    await until(async () => (await finishedRanges(pair, name)) >= 2, '2 ranges are copied');
    await initialSync({ ...move, database: { ...move.database, copy: FAST } });
    expect(await first).toBe('ended');
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    await undoInitialSync(move);
  });
});
