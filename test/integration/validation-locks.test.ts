import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { scopeNames } from '../../activities/postgres/names.js';
import { Session } from '../../activities/postgres/session.js';
import type { Key } from '../../activities/postgres/validation/compared-table.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import { Lanes, type Lane } from '../../activities/postgres/validation/lanes.js';
import { recheckSuspects } from '../../activities/postgres/validation/recheck.js';
import { settle, type Settled } from '../../activities/postgres/validation/settle.js';
import { validate, validateUntil } from '../../activities/postgres/validation/validate.js';
import type { DatabaseMove } from '../../activities/contract.js';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { follow, replicated, type Replicated } from '../support/replicated.js';
import { until } from '../support/sync.js';

const DDL = `
  create table items (id bigint primary key, v text);
  create table doubles (id int primary key, v text);
  create table lines (v text);
  alter table lines replica identity full;
`;
const ROWS = `insert into items select i, 'v' from generate_series(1, 2000) i; insert into doubles values (1, 'v');`;
const LOCK_TIMEOUT = 400;
/** Of a re-check that is to come to an end. */
const PATIENCE = 30_000;

let pair: ServerPair;
let scene: Replicated;
/** A session of the application on the source. */
let app: Session;
async function setScene(): Promise<void> {
  const validation = { parallelism: 1, leafRows: 1_000, lockTimeout: LOCK_TIMEOUT, exclude: [] };
  const name = fresh('locks');
  scene = await replicated(pair, name, DDL, { rows: ROWS, change: { validation } });
  await scene.source.run('set synchronous_commit = local');
  app = await Session.open('source', pair.source.url(name), { purpose: 'app' });
  await app.run('set search_path = public');
}
beforeAll(async () => {
  pair = await startPair();
  await setScene();
});
afterEach(async ({ task }) => {
  // ended backends, then tables as they were
  await app.run('rollback');
  if (task.result?.state !== 'fail') return;
  // It has left differences.
  await app.close();
  await scene.close();
  await setScene();
});
afterAll(async () => {
  await app.close();
  await scene.close();
  await pair.destroy();
});

async function open(): Promise<string[]> {
  const rows = await scene.target.rows<{ row: string }>(
    `select format('%s %s %s %s', table_name, kind, array_to_string(key, '|'), state) as row
     from godwit.validation_difference d
     where certificate = (select id from godwit.certificate order by taken_at desc limit 1) order by 1`,
  );
  return rows.map(({ row }) => row);
}

test('a commit that waits for a synchronous standby is a suspect and no difference', async () => {
  let committing: Promise<unknown> | undefined;
  await pair.source.query(`alter system set synchronous_standby_names = 'nobody'`);
  await pair.source.query('select pg_reload_conf()');
  try {
    await until(async () => {
      const row = await scene.source.row<{ on: boolean }>(
        `select current_setting('synchronous_standby_names') = 'nobody' as on`,
      );
      return row?.on ?? false;
    }, 'the setting is there');
    committing = underway(
      app.run(`begin; insert into items values (5000, 'new'); update items set v = 'new' where id = 7; commit`),
    );
    await until(
      async () => (await scene.target.row('select from items where id = 5000')) !== undefined,
      'the row has arrived',
    );
    expect(await scene.source.row('select from items where id = 5000')).toBeUndefined();
    expect(await validate(scene.move)).toMatchObject({ verdict: 'incomplete', differences: 0 });
    expect(await open()).toEqual(['items changed 7 suspect', 'items extra 5000 suspect']);
  } finally {
    await pair.source.query('alter system reset synchronous_standby_names');
    await pair.source.query('select pg_reload_conf()');
  }
  await committing;
  expect(await recheckSuspects(scene.source, scene.target, scene.move, PATIENCE)).toEqual({ open: 0, differences: 0 });
  expect(await open()).toEqual(['items changed 7 cleared', 'items extra 5000 cleared']);
  expect(await validate(scene.move)).toMatchObject({ verdict: 'equal' });
});

/** Settles keys of `items`, and runs `before` and `after` around the reads of so many rounds on the standby. */
async function settled(
  keys: Key[],
  rounds: number,
  before: () => Promise<void>,
  after: () => Promise<void>,
): Promise<Settled> {
  const signal = new AbortController().signal;
  await using lanes = await Lanes.open(scene.move, 'source', 1, signal);
  const [lane] = lanes.lanes;
  const [table] = await describeTables(scene.source, scene.target, [{ schema: 'public', name: 'items' }], 'record');
  if (lane === undefined || table === undefined) throw new Error('nothing to settle with');
  around(lane, rounds, before, after);
  return await settle(lane, table, keys, {
    lockTimeout: LOCK_TIMEOUT,
    markerTimeout: 20_000,
    signal,
  });
}

/** What follows the rounds happens under a lock, where no writer gets in between. */
function around(lane: Lane, rounds: number, before: () => Promise<void>, after: () => Promise<void>): void {
  const rows = lane.standby.rows.bind(lane.standby);
  let reads = 0;
  lane.standby.rows = async <R extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<R[]> => {
    if (!sql.includes('string_agg') || reads >= rounds) return rows<R>(sql, values);
    reads += 1;
    await before();
    const found = await rows<R>(sql, values);
    await after();
    return found;
  };
}

test('a row inserted and deleted between the reads is no difference', async () => {
  const result = await settled(
    [['7000']],
    1,
    async () => {
      await app.run(`insert into items values (7000, 'brief')`);
      await scene.caughtUp();
    },
    async () => {
      await app.run('delete from items where id = 7000');
    },
  );
  expect(result).toMatchObject({ differences: [], suspects: [], byTableLock: 1 });
});

test('a row that changes between all reads is no difference', async () => {
  const result = await settled(
    [['8']],
    3,
    async () => {
      await app.run(`update items set v = v || 'a' where id = 8`);
      await scene.caughtUp();
    },
    async () => {
      await app.run(`update items set v = v || 'b' where id = 8`);
    },
  );
  expect(result).toMatchObject({ differences: [], suspects: [], byRowLock: 1 });
});

test('a difference whose lock cannot be had makes the verdict incomplete, and the re-check settles it', async () => {
  await scene.target.run(
    `update items set v = 'wrong' where id = 10; insert into items values (9000, 'extra'), (9001, 'extra')`,
  );
  await app.run('begin; select from items where id = 10 for update; update items set v = v where id = 11');
  expect(await validate(scene.move)).toMatchObject({ verdict: 'incomplete', differences: 0 });
  expect(await open()).toEqual(['items changed 10 suspect', 'items extra 9000 suspect', 'items extra 9001 suspect']);
  await app.run('commit');
  await scene.target.run('delete from items where id = 9001');
  expect(await recheckSuspects(scene.source, scene.target, scene.move, PATIENCE)).toEqual({ open: 0, differences: 2 });
  expect(await open()).toEqual([
    'items changed 10 confirmed',
    'items extra 9000 confirmed',
    'items extra 9001 cleared',
  ]);
  // A retry must not switch past a difference that is still there.
  expect(await recheckSuspects(scene.source, scene.target, scene.move, PATIENCE)).toEqual({ open: 0, differences: 2 });
  await scene.target.run(`update items set v = 'v' where id = 10; delete from items where id = 9000`);
  expect(await recheckSuspects(scene.source, scene.target, scene.move, PATIENCE)).toEqual({ open: 0, differences: 0 });
});

test('a re-check that cannot read in time says so in time, and leaves its suspects open', async () => {
  await scene.target.run(`insert into items values (9000, 'extra')`);
  await app.run('begin; update items set v = v where id = 11');
  expect(await validate(scene.move)).toMatchObject({ verdict: 'incomplete' });
  await app.run('commit; begin; lock table items in access exclusive mode');
  const began = performance.now();
  expect(await recheckSuspects(scene.source, scene.target, scene.move, 200)).toEqual({ open: 1, differences: 0 });
  // The lock is held until after that, so without an end of its own it would have waited for ever.
  expect(performance.now() - began).toBeLessThan(10_000);
  await app.run('commit');
  expect(await recheckSuspects(scene.source, scene.target, scene.move, PATIENCE)).toEqual({ open: 0, differences: 1 });
  await scene.target.run('delete from items where id = 9000');
});

test('while a table lock is waited for, writers wait for a tenth of a second and not for all of lockTimeout', async () => {
  await scene.target.run(`insert into items values (9000, 'extra')`);
  await app.run('begin; update items set v = v where id = 11');
  const lockTimeout = 7_000;
  const patient: DatabaseMove = {
    ...scene.move,
    database: { ...scene.move.database, validation: { ...scene.move.database.validation, lockTimeout } },
  };
  const validation = underway(validate(patient));
  let over = false;
  void underway(validation.finally(() => (over = true)));
  let longest = 0;
  while (!over) {
    const began = performance.now();
    await scene.source.run('update items set v = v where id = 12');
    longest = Math.max(longest, performance.now() - began);
    await sleep(5);
  }
  expect(await validation).toMatchObject({ verdict: 'incomplete' });
  expect(longest).toBeGreaterThan(20);
  // Apart from what a machine may stand still.
  expect(longest).toBeLessThan(lockTimeout - 1_000);
  await app.run('commit');
  await scene.target.run('delete from items where id = 9000');
});

test('two rows of one key, where the standby lost its primary key, are a difference', async () => {
  await scene.target.run('alter table doubles drop constraint doubles_pkey; insert into doubles select * from doubles');
  expect(await validate(scene.move)).toMatchObject({ verdict: 'different', differences: 1 });
  await scene.target.run('delete from doubles where ctid > (select min(ctid) from doubles)');
  await scene.target.run('alter table doubles add primary key (id)');
});

test.each([
  ['looks at the tables', "update pg_class set reltuples = -1 where oid = 'items'::regclass"],
  ['passes over them', 'analyze items'],
])('cancelled while it %s, it ends at once and leaves no statement running', async (_, first) => {
  await scene.source.run(first);
  await app.run('begin; lock table items in access exclusive mode');
  const stop = new AbortController();
  const running = async (): Promise<boolean> => {
    const row = await scene.source.row(
      `select from pg_stat_activity where application_name like 'godwit%validation%' and wait_event_type = 'Lock'`,
    );
    return row !== undefined;
  };
  const validation = underway(validateUntil(scene.move, stop.signal));
  await until(running, 'it waits for the lock');
  stop.abort();
  // The lock is held until after that.
  await expect(validation).rejects.toMatchObject({ name: 'AbortError' });
  await until(async () => !(await running()), 'no statement runs any more');
  await app.run('commit');
});

test('an error tells the table and no row', async () => {
  await scene.target.run('alter table items add secret_column text');
  await expect(validate(scene.move)).rejects.toMatchObject({
    type: 'SchemaMismatch',
    message: expect.stringContaining('public.items') as string,
  });
  await scene.target.run('alter table items drop secret_column');
});

test('nothing is compared while no replication runs, in the middle of a switch, or without a claim', async () => {
  const slot = scopeNames(scene.move.key).slot('source');
  await scene.target.run(`alter subscription ${slot} disable`);
  await expect(validate(scene.move)).rejects.toMatchObject({ type: 'ReplicationBroken' });
  await scene.target.run(`alter subscription ${slot} enable`);
  await scene.source.run(`update godwit.authority set state = 'leased'`);
  await expect(validate(scene.move)).rejects.toMatchObject({ type: 'Blocked' });
  await scene.source.run(`update godwit.authority set state = 'open'`);
  await expect(validate({ ...scene.move, key: '000000000000' })).rejects.toMatchObject({ type: 'AuthorityLost' });
});

test('a switch in the middle of it certifies nothing', async () => {
  await app.run('begin; lock table items in access exclusive mode');
  const validation = underway(validate(scene.move));
  await until(
    async () =>
      (await scene.source.row(`select from pg_locks where not granted and relation = 'items'::regclass`)) !== undefined,
    'it waits for the lock',
  );
  await scene.source.run('update godwit.authority set epoch = epoch + 2');
  await app.run('commit');
  await expect(validation).rejects.toMatchObject({ type: 'Blocked' });
});

test('after a switch the target is the primary, and the source is what may lack rows', async () => {
  await scene.caughtUp();
  const slot = scopeNames(scene.move.key).slot('source');
  await scene.target.run(`drop subscription ${slot}`);
  await scene.source.run(`update godwit.authority set state = 'closed'`);
  await scene.target.run(`update godwit.authority set state = 'open', epoch = 9`);
  await follow(pair, scene.move, scene.target, scene.source);
  await scene.target.run(`insert into items values (12000, 'after')`);
  expect(await validate(scene.move)).toMatchObject({ verdict: 'equal' });
  await scene.source.run(`delete from items where id = 1; insert into items values (12001, 'extra')`);
  expect(await validate(scene.move)).toMatchObject({ verdict: 'different', differences: 2 });
  expect(await open()).toEqual(['items extra 12001 confirmed', 'items missing 1 confirmed']);
});
