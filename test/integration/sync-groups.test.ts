/** A copy whose processes die: what holds the snapshot, what reads it, both; and what becomes of the tables that were whole. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { copyUntil } from '../../activities/postgres/copy/copier.js';
import { holdUntil } from '../../activities/postgres/copy/holder.js';
import { finishSync, initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { underway } from '../support/underway.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { inputOf } from '../support/switching.js';
import { finishedRanges, prepareReplication, undoPreparation, until } from '../support/sync.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

/** The biggest table goes first: `first` is whole when `item` has only begun. */
const TABLES = `
  ${WRITER_TABLES}
  create table first (id bigint primary key, name text);
  insert into first select i, repeat(md5(i::text), 4) from generate_series(1, 30000) i;
  create table item (id bigint primary key, name text);
  insert into item select i, repeat(md5(i::text), 4) from generate_series(1, 20000) i;
  create table part_of_item (id bigint primary key, item bigint references item);
  insert into part_of_item select i, i from generate_series(1, 100) i;
  create index on first (name);
`;
const COPY = { parallelism: 2, rangeSize: 128 * 1024, rateLimit: 3_000_000 };

async function begun(name: string, copy = COPY): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(TABLES, [], name);
  const move = moveOf(pair, name, { copy });
  await prepareReplication(move);
  return move;
}

const fast = (move: DatabaseMove): DatabaseMove => ({
  ...move,
  database: { ...move.database, copy: { ...COPY, rateLimit: null } },
});

interface Running {
  /** Null when it ended well. */
  ended: Promise<unknown>;
  stop(): Promise<void>;
}

function running(work: (signal: AbortSignal) => Promise<void>): Running {
  const controller = new AbortController();
  const ended = work(controller.signal).then(
    () => null,
    (error: unknown) => error,
  );
  return {
    ended,
    stop: async () => {
      controller.abort();
      await ended;
    },
  };
}

const holder = (move: DatabaseMove): Running => running((signal) => holdUntil(move, signal));
const copier = (move: DatabaseMove, number = 0): Running => running((signal) => copyUntil(move, number, signal));

/** Until `goOn` copiers stand still after their next range once `isSo`; answers when the first of them does. */
async function standstill(isSo: () => Promise<boolean>): Promise<{ goOn: () => void }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  await new Promise<void>((stands) => {
    injectFaults(async (point) => {
      if (point !== 'sync.range' || !(await isSo())) return;
      stands();
      await released;
    });
  });
  return {
    goOn: () => {
      injectFaults(null);
      release();
    },
  };
}

/** As if the process had died: its connections are gone, and nothing of it cleans up. */
async function kill(move: DatabaseMove, role: string): Promise<void> {
  for (const server of [pair.source, pair.target]) {
    await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where starts_with(application_name, $1)`,
      [`godwit ${move.key} sync ${role}`],
    );
  }
}

const groups = (name: string): Promise<Record<string, unknown>[]> =>
  pair.target.query('select seq, state, lsn::text from godwit.copy_group order by seq', [], name);

const ranges = async (name: string, table: string, state: string): Promise<number> =>
  (await pair.target.query(`select from godwit.copy_range where table_name = $1 and state = $2`, [table, state], name))
    .length;

const slots = async (server: PostgresServer, move: DatabaseMove): Promise<string[]> =>
  (
    await server.query<{ name: string }>(
      'select slot_name as name from pg_replication_slots where slot_name ~ $1 order by 1',
      [move.key],
    )
  ).map(({ name }) => name);

/** Writes into all tables, whatever was copied: of one that is whole, too. */
async function changes(name: string, n: number): Promise<void> {
  await pair.source.query(
    `update first set name = 'changed ${n}' where id % 1000 = ${n};
     delete from first where id = ${n * 10 + 1};
     insert into first values (${100_000 + n}, 'new');
     update item set name = 'changed ${n}' where id % 1000 = ${n};
     insert into item values (${100_000 + n}, 'new');
     insert into part_of_item values (${100_000 + n}, ${100_000 + n})`,
    [],
    name,
  );
}

async function expectWhole(move: DatabaseMove, name: string): Promise<void> {
  await finishSync(fast(move));
  await catchUp(move);
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  expect(await slots(pair.source, move)).toEqual([`godwit_${move.key}_forward`]);
  const lines = (await catalogOf(pair.source, name)).filter((line) => line.includes(`${move.key}_1`));
  expect(lines).toEqual([]);
}

describe('while the snapshot lives', () => {
  test('a copier that dies costs the ranges it was at; several share the work', async () => {
    const name = fresh('copier_dies');
    const move = await begun(name);
    const held = holder(move);
    const first = copier(move, 0);
    const second = copier(move, 1);
    const { goOn } = await standstill(async () => (await finishedRanges(pair, name)) >= 6);
    const before = await groups(name);
    await kill(move, 'copy0');
    goOn();
    expect(await first.ended).toBeInstanceOf(Error);
    await changes(name, 1);
    const again = copier(fast(move), 0);
    expect(await again.ended).toBeNull();
    expect(await second.ended).toBeNull();
    expect(await held.ended).toBeNull();
    expect(await groups(name)).toEqual(before);
    await expectWhole(move, name);
    await undoPreparation(move);
  });

  test('a holder that dies is succeeded by another, as long as a copier keeps the snapshot', async () => {
    const name = fresh('holder_dies');
    const move = await begun(name);
    const held = holder(move);
    const copying = copier(move);
    const { goOn } = await standstill(async () => (await finishedRanges(pair, name)) >= 4);
    const before = await groups(name);
    await kill(move, 'hold');
    expect(await held.ended).toBeInstanceOf(Error);
    await changes(name, 1);
    const successor = holder(move);
    await until(async () => {
      const names = await pair.target.query('select from godwit.copy_snapshot', [], name);
      return names.length >= 3;
    }, 'the successor exports the snapshot, too');
    // Now the successor is the only one that holds it.
    await kill(move, 'copy0');
    goOn();
    expect(await copying.ended).toBeInstanceOf(Error);
    const again = copier(fast(move));
    expect(await again.ended).toBeNull();
    expect(await successor.ended).toBeNull();
    expect(await groups(name)).toEqual(before);
    await expectWhole(move, name);
    await undoPreparation(move);
  });

  test('a pause stops the copiers, and nothing is copied twice after it', async () => {
    const name = fresh('paused');
    const move = await begun(name);
    const held = holder(move);
    const copying = copier(move);
    await until(async () => (await finishedRanges(pair, name)) >= 4, '4 ranges are copied');
    await copying.stop();
    const done = await finishedRanges(pair, name);
    await changes(name, 1);
    const again = copier(fast(move));
    expect(await again.ended).toBeNull();
    expect(await held.ended).toBeNull();
    expect(done).toBeGreaterThanOrEqual(4);
    const [run] = await pair.target.query('select ranges_kept from godwit.copy_run', [], name);
    expect(run).toEqual({ ranges_kept: 0 });
    await expectWhole(move, name);
  });
});

describe('a TRUNCATE that waits for the holder', () => {
  test('when a copier comes is let through: the copy begins again out of another snapshot', async () => {
    const name = fresh('truncating');
    const move = await begun(name);
    const held = holder(fast(move));
    await until(async () => (await groups(name)).length === 1, 'the snapshot is held');
    let truncated = false;
    const truncating = underway(
      pair.source.query('truncate part_of_item, item', [], name).then(() => (truncated = true)),
    );
    await until(async () => {
      const waiting = await pair.source.query(
        `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock' and query like 'truncate%'`,
        [name],
      );
      return waiting.length > 0;
    }, 'TRUNCATE waits');
    expect(truncated).toBe(false);
    const copying = copier(fast(move));
    await truncating;
    expect(await copying.ended).toBeNull();
    expect(await held.ended).toBeNull();
    await expectWhole(move, name);
    expect(await pair.target.query('select from item', [], name)).toEqual([]);
    await undoPreparation(move);
  });
});

/** Whole tables stay, the others begin again, under writers that never stop. */
async function allDie(name: string, move: DatabaseMove): Promise<void> {
  const held = holder(move);
  const copying = copier(move);
  const { goOn } = await standstill(
    async () => (await ranges(name, 'item', 'done')) > 0 && (await ranges(name, 'first', 'planned')) === 0,
  );
  expect(await ranges(name, 'item', 'planned')).toBeGreaterThan(0);
  await kill(move, 'hold');
  await kill(move, 'copy');
  goOn();
  expect(await held.ended).toBeInstanceOf(Error);
  expect(await copying.ended).toBeInstanceOf(Error);
  await changes(name, 2);
}

describe('when all that held the snapshot has died', () => {
  test('tables that were whole stay as a group of their own, the rest is copied anew, and all come together', async () => {
    const name = fresh('all_die');
    const move = await begun(name);
    const before = { source: await catalogOf(pair.source, name), target: await catalogOf(pair.target, name) };
    const writers = Writers.start(pair, name, 2);
    await allDie(name, move);
    const [, copied] = await pair.target.query<{ version: string }>(
      `select ctid::text as version from first where id in (1, 29999) order by id`,
      [],
      name,
    );
    const held = holder(fast(move));
    const copying = copier(fast(move));
    await changes(name, 3);
    expect(await copying.ended).toBeNull();
    expect(await held.ended).toBeNull();
    expect(await groups(name)).toMatchObject([
      { seq: 1, state: 'closed' },
      { seq: 2, state: 'live' },
    ]);
    const kept = await pair.target.query(`select table_name as name from godwit.copy_group_table`, [], name);
    expect(kept).toContainEqual({ name: 'first' });
    // What foreign keys join stays together.
    expect(kept).not.toContainEqual({ name: 'part_of_item' });
    expect(await slots(pair.source, move)).toHaveLength(2);
    await changes(name, 4);
    await pair.source.query(
      'truncate part_of_item, item; insert into item values (1, $1)'.replace('$1', `'again'`),
      [],
      name,
    );
    await expectWhole(move, name);
    expect(await pair.target.query(`select ctid::text as version from first where id = 29999`, [], name)).toEqual([
      copied,
    ]);
    await changes(name, 5);
    await writers.progress(10);
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await writers.progress(10);
    expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
    await writers.progress(10);
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], lost: 0, balanced: true });
    await undoInitialSync(move);
    expect(
      (await catalogOf(pair.target, name)).filter((line) => /^(subscription|slot|publication)/.test(line)),
    ).toEqual(before.target.filter((line) => /^(subscription|slot|publication)/.test(line)));
    await undoPreparation(move);
  });

  test('an undo finds groups in any state, and leaves nothing of them', async () => {
    const name = fresh('undone');
    for (const server of [pair.source, pair.target]) await server.createDatabase(name);
    await pair.source.query(TABLES, [], name);
    const before = { source: await catalogOf(pair.source, name), target: await catalogOf(pair.target, name) };
    const move = moveOf(pair, name, { copy: COPY });
    await prepareReplication(move);
    await allDie(name, move);
    const held = holder(move);
    await until(async () => (await groups(name)).length === 2, 'there are two groups');
    await held.stop();
    await undoPreparation(move);
    expect(await catalogOf(pair.source, name)).toEqual(before.source);
    expect(await catalogOf(pair.target, name)).toEqual(before.target);
  });

  test.each([
    'sync.closing',
    'sync.slot-copied',
    'sync.unpublished',
    'sync.table-handed-over',
    'sync.handed-over',
    'sync.merged',
  ])('and whoever brings them together dies at %s, the next one completes it', async (point) => {
    const name = fresh(`dies_${point.replace(/\W/g, '_')}`);
    const move = await begun(name);
    await allDie(name, move);
    let deaths = 0;
    injectFaults((reached) => {
      if (reached !== point || deaths > 0) return;
      deaths += 1;
      throw new Error(`died at ${point}`);
    });
    await expect(initialSync(fast(move))).rejects.toThrow('died at');
    await changes(name, 3);
    await initialSync(fast(move));
    await changes(name, 4);
    await expectWhole(move, name);
    await undoInitialSync(move);
  });

  test('and the slot of the whole tables has lost its WAL, they are compared with the new snapshot instead', async () => {
    const name = fresh('slot_lost');
    const move = await begun(name);
    await allDie(name, move);
    await pair.source.query('select pg_drop_replication_slot($1)', [`godwit_${move.key}_forward`]);
    const { rangesKept } = await initialSync(fast(move));
    expect(rangesKept).toBeGreaterThan(0);
    expect(await groups(name)).toMatchObject([{ seq: 1, state: 'live' }]);
    await expectWhole(move, name);
    await undoInitialSync(move);
  });
});
