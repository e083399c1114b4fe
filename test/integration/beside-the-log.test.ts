/** What no log carries: rows of unlogged tables, which go at the switch, and what materialized views show. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { refreshViews } from '../../activities/postgres/materialized-views.js';
import { checkReferences } from '../../activities/postgres/references.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { readCertificate, type Certificate } from '../../activities/postgres/validation/certificate.js';
import { Session } from '../../activities/postgres/session.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { catalogOf } from '../support/catalog.js';
import { underway } from '../support/underway.js';
import { connect, until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { inputOf } from '../support/switching.js';
import { prepareReplication, undoPreparation } from '../support/sync.js';
import { HIT_TABLES, hits } from '../support/hits.js';
import { Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

const TABLES = `
  ${HIT_TABLES}
  create unlogged table cache (id int primary key, at timestamptz default now());
  insert into cache select generate_series(1, 100);
  create table event (at date, id bigint generated always as identity, primary key (at, id)) partition by range (at);
  create table event_2025 partition of event for values from ('2025-01-01') to ('2026-01-01');
  create unlogged table event_2026 partition of event for values from ('2026-01-01') to ('2027-01-01');
  insert into event (at) select date '2025-12-01' + n from generate_series(1, 60) n;
`;

const UNLOGGED = { 'public.hit': 'copy', 'public.event': 'copy', 'public.cache': 'empty' } as const;

async function copied(name: string, ddl: string, change: Partial<NormalDatabase> = {}): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(ddl, [], name);
  if (change.schema === 'existing') await pair.target.query(`${ddl} truncate account cascade`, [], name);
  const move = moveOf(pair, name, {
    tables: { include: ['*.*'], exclude: [], unlogged: { '*.*': 'copy' } },
    ...change,
  });
  await prepared(move);
  return move;
}

async function prepared(move: DatabaseMove): Promise<void> {
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
}

async function count(side: 'source' | 'target', name: string, table: string): Promise<number> {
  const [row] = await pair[side].query<{ n: number }>(`select count(*)::int as n from ${table}`, [], name);
  return row?.n ?? -1;
}

const pausing = (maxPause: number): Pick<NormalDatabase, 'cutover'> => ({
  cutover: { maxPause, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 1_000, window: null },
});

const SWITCHED = expect.objectContaining({ kind: 'switched' }) as unknown;

describe('unlogged tables', () => {
  test('go there and back under writes with all their rows, a partition among them, or empty where that was asked for', async () => {
    const name = fresh('there_and_back');
    const move = await copied(name, TABLES, { tables: { include: ['*.*'], exclude: [], unlogged: UNLOGGED } });
    expect(await count('target', name, 'hit')).toBe(0);
    expect(await count('target', name, 'event')).toBe(30);
    const { id, verdict } = await validate(move);
    expect(verdict).toBe('equal');
    expect((await certificateOf(move, id))?.exclusions).toEqual(
      ['cache', 'event_2026', 'hit'].map((table) => ({ schema: 'public', name: table, why: 'unlogged' })),
    );

    const writers = Writers.start(pair, name);
    await writers.progress(20);
    expect(await switchWrites({ ...inputOf(move, 'forward'), mode: 'rehearse' })).toMatchObject({
      kind: 'rehearsed',
      figures: { steps: expect.arrayContaining([expect.objectContaining({ name: 'unlogged' })]) as unknown },
    });
    // What the rehearsal has carried is a closed side's: the next attempt begins anew.
    expect(await count('target', name, 'hit')).toBeGreaterThan(0);
    await writers.progress(20);
    for (const direction of ['forward', 'back'] as const) {
      const old = direction === 'forward' ? 'source' : 'target';
      const now = direction === 'forward' ? 'target' : 'source';
      expect(await switchWrites(inputOf(move, direction))).toEqual(SWITCHED);
      expect(await hits(pair[now], name)).toMatchObject({ missing: 0, more: 0 });
      expect(await count(now, name, 'cache')).toBe(0);
      expect(await count(now, name, 'event_2026')).toBe(await count(old, name, 'event_2026'));
      await pair[now].query(
        `insert into cache values (1); insert into event (at) values ('2026-05-01');
         delete from hit where id in (select id from entry order by serial limit 3);
         delete from entry where id in (select id from entry order by serial limit 3);
         update account set balance = balance - 3 where id = 1`,
        [],
        name,
      );
      // The rows of the side that follows are those of its last day: their parents may be gone, and nobody minds.
      await writers.progress(20);
      await checkReferences(move);
      expect(await validate(move)).toMatchObject({ verdict: 'equal' });
      expect(await observe(move)).toMatchObject({ problems: [], drift: null });
    }
    expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], handovers: 2 });
    expect(await hits(pair.source, name)).toMatchObject({ missing: 0, more: 0 });
    await undoPreparation(move);
    expect(await catalogOf(pair.target, name)).toEqual(await catalogOf(pair.target, await emptyDatabase()));
  });

  test('of a target that has them already are filled and, by the undo, emptied; after finalize they are free', async () => {
    const name = fresh('existing');
    const move = await copied(name, HIT_TABLES, { schema: 'existing' });
    await pair.source.query(`insert into entry values (gen_random_uuid(), 1)`, [], name);
    expect(await switchWrites({ ...inputOf(move, 'forward'), mode: 'rehearse' })).toMatchObject({ kind: 'rehearsed' });
    expect(await count('target', name, 'hit')).toBe(1);
    await undoPreparation(move);
    expect(await count('target', name, 'hit')).toBe(0);
    expect(await count('source', name, 'hit')).toBe(1);

    await prepareReplication(move);
    await initialSync(move);
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    await finalizeDatabase(move);
    await pair.target.query('delete from hit', [], name);
    await expect(pair.source.query('delete from hit', [], name)).rejects.toThrow(/another server takes its writes/);
  });

  test('that take longer than the pause may last let the attempt undo itself, and nobody has lost anything', async () => {
    const name = fresh('slow');
    const move = await copied(name, HIT_TABLES, pausing(3_000));
    await pair.source.query(`insert into entry select gen_random_uuid(), 1 from generate_series(1, 400)`, [], name);
    await catchUp(move);
    // Each row that is taken in costs 20 ms.
    await pair.target.query(
      `create function slow() returns boolean language sql volatile return pg_sleep(0.02) is not null;
       alter table hit add constraint slow check (slow())`,
      [],
      name,
    );
    const outcome = await switchWrites(inputOf(move, 'forward'));
    expect(outcome).toMatchObject({
      kind: 'not-now',
      reason: expect.stringMatching(/unlogged tables \(public\.hit\) took longer/) as unknown,
    });
    await pair.source.query(`insert into entry values (gen_random_uuid(), 1)`, [], name);
    expect(await hits(pair.source, name)).toMatchObject({ entries: 401, missing: 0 });
    expect(await count('target', name, 'hit')).toBe(0);
    expect(await settle(move)).toEqual({ primary: 'source' });

    // A source that is slow to tell them.
    await pair.target.query('alter table hit drop constraint slow', [], name);
    injectFaults(async (point) => {
      if (point === 'switch.unlogged-emptied') await new Promise((resolve) => setTimeout(resolve, 3_100));
    });
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'not-now' });
    injectFaults(null);
    move.database.cutover = pausing(30_000).cutover;
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    expect(await hits(pair.target, name)).toMatchObject({ entries: 401, missing: 0 });
  });

  test('that somebody reads on the new side are waited for no longer than the pause, and the reader is named', async () => {
    const name = fresh('read');
    const move = await copied(name, HIT_TABLES, pausing(3_000));
    const reader = await connect(pair.target.url(name), 'nightly report');
    await reader.query('begin; select count(*) from hit');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({
      kind: 'not-now',
      reason: expect.stringMatching(/could not be emptied: .*nightly report/) as unknown,
    });
    await reader.end();
    move.database.cutover = pausing(30_000).cutover;
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
  });

  test('that the new side refuses let the attempt undo itself, naming the table and none of its rows', async () => {
    const name = fresh('refused');
    const move = await copied(name, HIT_TABLES);
    await pair.source.query(`insert into entry values (gen_random_uuid(), 1)`, [], name);
    await pair.target.query(`alter table hit add constraint odd check (note <> 'seen')`, [], name);
    await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({
      type: 'CopyFailed',
      message: expect.stringMatching(
        /the target refuses rows of public\.hit: SQLSTATE 23514, constraint odd/,
      ) as unknown,
    });
    await pair.source.query(`insert into entry values (gen_random_uuid(), 1)`, [], name);
    expect(await count('target', name, 'hit')).toBe(0);
    await pair.target.query('alter table hit drop constraint odd', [], name);
    await undoSwitch(move);
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    expect(await hits(pair.target, name)).toMatchObject({ entries: 2, missing: 0 });
  });

  test('may be all that moves', async () => {
    const name = fresh('alone');
    const move = await copied(name, 'create unlogged table cache (id int); insert into cache values (1), (2)');
    expect(await validate(move)).toMatchObject({ verdict: 'equal', tables: 0 });
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    expect(await count('target', name, 'cache')).toBe(2);
    await undoSwitch(move);
    await undoPreparation(move);
  });

  test('that were made logged meanwhile are DDL in the way', async () => {
    const name = fresh('logged');
    const move = await copied(name, HIT_TABLES);
    await pair.source.query('alter table hit set logged', [], name);
    expect((await observe(move)).drift).toEqual({
      changed: ['source'],
      differences: ['public.hit: it is unlogged table, on the source table'],
    });
    await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({ type: 'SchemaMismatch' });
  });
});

const VIEWS = `
  create table sale (id int primary key, region text not null, amount int not null);
  insert into sale select n, 'r' || n % 3, n from generate_series(1, 30) n;
  create view decent as select * from sale where amount > 0;
  create materialized view zeroth as select region, sum(amount) as amount from decent group by region;
  create unique index on zeroth (region);
  create materialized view first as select count(*) as regions, sum(amount) as amount from zeroth;
  create materialized view never as select * from sale with no data;
  create materialized view apart as select 1 as one;
`;

describe('materialized views', () => {
  const shown = async (side: 'source' | 'target', name: string): Promise<unknown[]> =>
    pair[side].query(
      'select sum(amount)::int as zeroth, (select amount::int from first) as first from zeroth',
      [],
      name,
    );

  test('show what is written where the writes go, after a switch there, back and an undo, in the order in which they stand on each other', async () => {
    const name = fresh('views');
    const move = await copied(name, VIEWS);
    await pair.source.query('update sale set amount = amount + 100', [], name);
    await catchUp(move);
    expect(await shown('target', name)).toEqual([{ zeroth: 465, first: 465 }]);
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    expect(await refreshViews({ move, side: 'target' })).toEqual({ refreshed: 2, failed: [] });
    expect(await shown('target', name)).toEqual([{ zeroth: 3465, first: 3465 }]);
    await expect(pair.target.query('select from never', [], name)).rejects.toThrow(/has not been populated/);
    // The side that follows stays as it was: nothing of what is applied there is shown until it takes the writes again.
    expect(await shown('source', name)).toEqual([{ zeroth: 465, first: 465 }]);
    expect(await refreshViews({ move, side: 'source' })).toEqual({ refreshed: 0, failed: [] });

    await pair.target.query('update sale set amount = 1', [], name);
    await undoSwitch(move);
    expect(await refreshViews({ move, side: 'source' })).toEqual({ refreshed: 2, failed: [] });
    expect(await shown('source', name)).toEqual([{ zeroth: 30, first: 30 }]);

    await pair.source.query('update sale set amount = 2', [], name);
    await undoPreparation(move);
    expect(await refreshViews({ move, side: 'source' })).toEqual({ refreshed: 2, failed: [] });
    expect(await shown('source', name)).toEqual([{ zeroth: 60, first: 60 }]);
  });

  test('are read on while they are refreshed where an index tells their rows apart, and what fails is said of each', async () => {
    const name = fresh('views_read');
    const move = await copied(name, VIEWS);
    await pair.source.query('update sale set amount = 0 where id = 30', [], name);
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    const reader = await connect(pair.target.url(name), 'report');
    await reader.query('begin; select from zeroth');
    expect(await refreshViews({ move, side: 'target' })).toEqual({ refreshed: 2, failed: [] });
    await reader.query('rollback');
    // Rows that the index can't tell apart any more.
    await pair.target.query(
      `drop index zeroth_region_idx; create unique index on zeroth (amount);
       update sale set amount = 1 where region = 'r0'; update sale set amount = 1 where region = 'r1'`,
      [],
      name,
    );
    expect(await refreshViews({ move, side: 'target' })).toEqual({
      refreshed: 1,
      failed: [expect.stringMatching(/^public\.zeroth: SQLSTATE 23505/)],
    });
    await reader.end();
  });

  test('are in the way of neither finalize nor an undo: a refresh that still runs is ended', async () => {
    const name = fresh('views_undone');
    const move = await copied(
      name,
      `create table pace (id int primary key, delay float8 not null); insert into pace values (1, 0);
       create materialized view slow as select id, pg_sleep(delay) is null as slept from pace`,
    );
    await pair.source.query('update pace set delay = 300', [], name);
    const refreshing = async (): Promise<{ ended: () => Promise<void> }> => {
      const refresh = underway(refreshViews({ move, side: 'target' }));
      const ended = async (): Promise<void> => {
        await expect(refresh).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
      };
      await until(pair.target, name, `select from pg_stat_activity where query like 'refresh%' and state = 'active'`);
      return { ended };
    };
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    const first = await refreshing();
    await undoSwitch(move);
    await undoPreparation(move);
    await first.ended();

    await pair.source.query('update pace set delay = 0', [], name);
    await prepared(move);
    await pair.source.query('update pace set delay = 300', [], name);
    expect(await switchWrites(inputOf(move, 'forward'))).toEqual(SWITCHED);
    const second = await refreshing();
    await finalizeDatabase(move);
    await second.ended();
  });

  test('of roles that Godwit may not act as stay stale, and are named with their owner', async () => {
    const name = fresh('views_of_others');
    const move = await copied(name, VIEWS);
    const role = fresh('mover');
    await pair.source.query(
      `create role ${role} login password 'm'; grant usage on schema godwit to ${role}; grant select on all tables in schema godwit to ${role}`,
      [],
      name,
    );
    const variable = `${role.toUpperCase()}_URL`;
    process.env[variable] = pair.source.url(name, role, 'm');
    const theirs = { ...move, database: { ...move.database, source: { env: variable } } };
    const why = `${role} may not refresh it, postgres owns it: GRANT postgres TO ${role}, or refresh it as its owner`;
    expect(await refreshViews({ move: theirs, side: 'source' })).toEqual({
      refreshed: 0,
      failed: [`public.zeroth: ${why}`, `public.first: ${why}`],
    });
    await pair.source.query(
      `alter materialized view first owner to ${role}; grant select on zeroth to ${role}`,
      [],
      name,
    );
    expect(await refreshViews({ move: theirs, side: 'source' })).toMatchObject({ refreshed: 1 });
  });
});

async function certificateOf(move: DatabaseMove, id: string): Promise<Certificate | null> {
  await using target = await Session.open('target', move.database.target, { purpose: 'test' });
  return await readCertificate(target, id);
}

async function emptyDatabase(): Promise<string> {
  const name = fresh('empty');
  await pair.target.createDatabase(name);
  return name;
}
