/** Servers that fail over to a real standby, before, inside and after a switch: nothing is lost in silence, one writer, clear words. */
import { afterEach, describe, expect, test } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { claim } from '../../activities/postgres/authority.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { settle, switchWrites } from '../../activities/postgres/cutover.js';
import { acceptFailover } from '../../activities/postgres/failover.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import type { DatabaseMove } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';
import type { Primary } from '../../spec/status.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { failOver, leadTo, promote, standbyOf, streams, type StandbyOptions } from '../support/standby.js';
import { accepts, inputOf } from '../support/switching.js';
import { ServerVersions } from '../support/postgres-versions.js';
import { prepareReplication, until } from '../support/sync.js';

const TABLES = `
  create table account (id int primary key, balance int not null);
  create table entry (id int primary key, note text);
  insert into account select n, 0 from generate_series(1, 3) n;
  insert into entry select n, 'before' from generate_series(1, 1000) n`;

const open: { stop: () => Promise<void> }[] = [];
afterEach(async () => {
  injectFaults(null);
  await Promise.all(open.splice(0).map(({ stop }) => stop()));
});

interface World {
  pair: ServerPair;
  standby: PostgresServer;
  move: DatabaseMove;
}

/** Two servers that replicate, of which one has a standby. */
async function world(side: Primary, options: Partial<StandbyOptions> = {}): Promise<World> {
  const pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  open.push({ stop: () => pair.destroy() });
  await pair.source.createDatabase('shop');
  await pair.target.createDatabase('shop');
  await pair.source.query(TABLES, [], 'shop');
  const standby = await standbyOf(pair[side], { name: 'standby-1', ...options });
  open.push({ stop: () => standby.destroy() });
  const move = moveOf(pair, 'shop', {
    cutover: { maxPause: 5_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 100, window: null },
  });
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  return { pair, standby, move };
}

const synchronous = (server: PostgresServer): Promise<unknown> =>
  server.query(`alter system set synchronous_standby_names = '*'`).then(() => server.query('select pg_reload_conf()'));

const add = (server: PostgresServer, id: number): Promise<unknown> =>
  server.query(`insert into entry values ($1, 'after')`, [id], 'shop');

const has = async (server: PostgresServer, id: number): Promise<boolean> =>
  (await server.query('select from entry where id = $1', [id], 'shop')).length > 0;

const ignoring = (move: DatabaseMove, ...ignore: string[]): DatabaseMove => ({
  ...move,
  database: { ...move.database, cutover: { ...move.database.cutover, standbys: { ignore } } },
});

describe('the source fails over', () => {
  test('before the switch, without what it had acknowledged last: the switch holds and says what it expected; accepted, it syncs anew, and both sides are equal', async () => {
    const { pair, standby, move } = await world('source');
    // The standby misses this one, and the target has it.
    await standby.stop();
    await add(pair.source, 2_000);
    await catchUp(move);
    expect(await has(pair.target, 2_000)).toBe(true);
    await failOverAlone(pair.source, standby, move);

    const seen = await observe(move);
    expect(seen.stranger).toMatch(
      /the source failed over, or was restored: expected timeline 1 of system \d+, found timeline 2/,
    );
    await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({ type: 'SystemChanged' });
    expect(await acceptFailover(move)).toEqual({ resync: true });
    await initialSync(move);
    await catchUp(move);
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await has(pair.target, 2_000)).toBe(false);
    expect(await observe(move)).toMatchObject({ stranger: null, lost: null, problems: [] });
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    expect([await accepts(standby, 'shop'), await accepts(pair.target, 'shop')]).toEqual([false, true]);
  });

  test.each(['asynchronous', 'synchronous'])(
    'between the lease and the cede, %s: nothing is switched, the promoted one takes writes',
    async (kind) => {
      const { pair, standby, move } = await world('source');
      if (kind === 'synchronous') await synchronous(pair.source);
      await diesAt('switch.ready', () => failOver(move, 'source', pair.source, standby), move);
      expect(await acceptFailover(move)).toEqual({ resync: true });
      expect([await accepts(standby, 'shop'), await accepts(pair.target, 'shop')]).toEqual([true, false]);
      await initialSync(move);
      await catchUp(move);
      expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    },
  );

  test.each(['asynchronous', 'synchronous'])(
    'between the cede and the opening, %s: the promoted one knows of the cede, and the switch is completed',
    async (kind) => {
      const { pair, standby, move } = await world('source');
      if (kind === 'synchronous') await synchronous(pair.source);
      await diesAt('switch.stop', () => failOver(move, 'source', pair.source, standby), move);
      await expect(settle(move)).rejects.toMatchObject({ type: 'SystemChanged' });
      expect([await accepts(standby, 'shop'), await accepts(pair.target, 'shop')]).toEqual([false, false]);
      expect(await acceptFailover(move)).toEqual({ resync: false });
      expect([await accepts(standby, 'shop'), await accepts(pair.target, 'shop')]).toEqual([false, true]);
      expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    },
  );

  test('after the switch: it stays closed, changes still flow back to it, and the way back is whole', async () => {
    const { pair, standby, move } = await world('source');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await failOver(move, 'source', pair.source, standby);
    expect((await observe(move)).stranger).toContain('the source failed over');
    expect(await accepts(standby, 'shop')).toBe(false);
    expect(await acceptFailover(move)).toEqual({ resync: false });
    await add(pair.target, 3_000);
    await until(() => has(standby, 3_000), 'the change flows back');
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
    expect([await accepts(standby, 'shop'), await accepts(pair.target, 'shop')]).toEqual([true, false]);
  });

  test('to a standby that never heard of the switch: both are said to take writes, and accepting it is refused', async () => {
    const { pair, standby, move } = await world('source');
    await standby.stop();
    const left = `select where not exists (select from pg_stat_replication where application_name = 'standby-1')`;
    await until(async () => (await pair.source.query(left)).length > 0, 'the primary has noticed');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await failOverAlone(pair.source, standby, move);
    const seen = await observe(move);
    expect(seen.problems[0]).toContain('both sides take writes');
    await expect(acceptFailover(move)).rejects.toMatchObject({ type: 'AuthorityLost' });
  });
});

describe('the target fails over', () => {
  test('before the switch: accepted, it syncs anew and switches', async () => {
    const { pair, standby, move } = await world('target');
    await failOver(move, 'target', pair.target, standby);
    expect((await observe(move)).stranger).toContain('the target failed over');
    expect(await acceptFailover(move)).toEqual({ resync: true });
    await initialSync(move);
    await catchUp(move);
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    expect([await accepts(pair.source, 'shop'), await accepts(standby, 'shop')]).toEqual([false, true]);
  });

  test('after the switch: it takes writes, and the way back is said to be lost', async () => {
    const { pair, standby, move } = await world('target');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await add(pair.target, 3_000);
    await streamed(pair.target);
    await failOver(move, 'target', pair.target, standby);
    expect((await observe(move)).stranger).toContain('the target failed over');
    expect(await acceptFailover(move)).toEqual({ resync: false });
    expect(await observe(move)).toMatchObject({
      primary: 'target',
      stranger: null,
      lost: expect.stringContaining('the target') as string,
    });
    expect([await accepts(pair.source, 'shop'), await accepts(standby, 'shop'), await has(standby, 3_000)]).toEqual([
      false,
      true,
      true,
    ]);
  });
});

describe('a standby of the side that cedes', () => {
  test('that is away keeps the switch from beginning, by its slot; an operator may say that it is out', async () => {
    const { pair, standby, move } = await world('source', { slot: 'standby_1' });
    await standby.stop();
    await until(
      async () =>
        (await pair.source.query(`select from pg_replication_slots where slot_name = 'standby_1' and not active`))
          .length > 0,
      "the slot is nobody's",
    );
    const outcome = await switchWrites(inputOf(move, 'forward'));
    expect(outcome).toMatchObject({ kind: 'not-now', reason: expect.stringContaining('standby_1') as string });
    expect(outcome).toMatchObject({
      reason: expect.stringContaining('set databases.shop.cutover.standbys.ignore=standby_1') as string,
    });
    expect(await accepts(pair.source, 'shop')).toBe(true);
    expect(await switchWrites(inputOf(ignoring(move, 'standby_1'), 'forward'))).toMatchObject({ kind: 'switched' });
  });

  test('that hangs is named and waited for with both sides closed; it goes on once it has heard, or is said to be out', async () => {
    const { pair, standby, move } = await world('source');
    const [receiver] = await standby.query<{ pid: number }>('select pid from pg_stat_wal_receiver');
    const pid = receiver?.pid ?? 0;
    let hung = false;
    injectFaults((point) => {
      if (point !== 'switch.ready' || hung) return;
      hung = true;
      process.kill(pid, 'SIGSTOP');
    });
    try {
      await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({
        type: 'StandbyBehind',
        message: expect.stringContaining('standby-1 (127.0.0.1)') as string,
      });
      expect(hung).toBe(true);
      expect([await accepts(pair.source, 'shop'), await accepts(pair.target, 'shop')]).toEqual([false, false]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    expect([await accepts(pair.source, 'shop'), await accepts(pair.target, 'shop')]).toEqual([false, true]);
  });
});

test('a slot made for failover (17) comes along: accepted, nothing is copied again, and changes flow on from the promoted source', async () => {
  const versions = await ServerVersions.open(new Set([17] as const), {
    wal_retrieve_retry_interval: '100ms',
    sync_replication_slots: 'on',
    hot_standby_feedback: 'on',
  });
  open.push({ stop: () => versions.destroy() });
  const pair = await versions.pair(17, 17);
  await pair.source.createDatabase('shop');
  await pair.target.createDatabase('shop');
  await pair.source.query(TABLES, [], 'shop');
  const standby = await standbyOf(pair.source, { name: 'standby-1', slot: 'standby_1', conninfo: 'dbname=postgres' });
  open.push({ stop: () => standby.destroy() });
  await pair.source.query(`alter system set synchronized_standby_slots = 'standby_1'`);
  await pair.source.query('select pg_reload_conf()');
  const move = moveOf(pair, 'shop');
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  const slot = `godwit_${move.key}_forward`;
  await until(
    async () => {
      // Else what makes the copy of a slot consistent is written every 15 s, and what copies it looks up to 30 s later.
      await pair.source.query('select pg_log_standby_snapshot()');
      await standby.query('select pg_reload_conf()');
      const there = 'select from pg_replication_slots where slot_name = $1 and synced and not temporary';
      return (await standby.query(there, [slot])).length > 0;
    },
    'the standby has the slot',
    60_000,
  );
  await failOver(move, 'source', pair.source, standby);
  expect((await observe(move)).stranger).toContain('the source failed over');
  expect(await acceptFailover(move)).toEqual({ resync: false });
  await add(standby, 4_000);
  await catchUp(move);
  expect(await has(pair.target, 4_000)).toBe(true);
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
});

test('a standby as the source is refused before anything is made, and taken once it is promoted', async () => {
  const { pair, standby, move } = await world('source');
  const other = moveOf(pair, 'shop', { tables: { include: ['public.late'], exclude: [] } });
  await pair.source.query('create table late (id int primary key)', [], 'shop');
  await streamed(pair.source);
  leadTo(other, 'source', standby);
  await until(
    async () => (await standby.query(`select to_regclass('late') is not null as so`, [], 'shop'))[0]?.['so'] === true,
    'it is there',
  );
  await expect(claim(other)).rejects.toMatchObject({
    type: 'DatabaseUnreachable',
    message: expect.stringContaining('is a standby (in recovery)') as string,
  });
  leadTo(move, 'source', standby);
  expect((await observe(move)).stranger).toContain('the source is a standby (in recovery), expected a primary');
  await promote(standby);
  expect(await claim(other)).toEqual({ tables: 1 });
});

/** The primary goes without a word to its standby, which was away and is promoted as it is. */
async function failOverAlone(primary: PostgresServer, standby: PostgresServer, move: DatabaseMove): Promise<void> {
  await primary.stop('immediate');
  await standby.restart();
  await promote(standby);
  leadTo(move, 'source', standby);
}

async function streamed(primary: PostgresServer): Promise<void> {
  await streams(primary, 'standby-1');
  await until(
    async () =>
      (
        await primary.query(
          `select from pg_stat_replication where application_name = 'standby-1' and replay_lsn >= pg_current_wal_flush_lsn()`,
        )
      ).length > 0,
    'the standby has it',
  );
}

/** The attempt meets `bad` at this point, and dies there. */
async function diesAt(at: string, bad: () => Promise<void>, move: DatabaseMove): Promise<void> {
  let met = false;
  injectFaults(async (point) => {
    if (point !== at) return;
    injectFaults(null);
    met = true;
    await bad();
    throw new Error('the worker dies, too');
  });
  await expect(switchWrites(inputOf(move, 'forward'))).rejects.toThrow();
  expect(met).toBe(true);
}
