/** Partitions that come while a migration runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { adoptShape } from '../../activities/postgres/replication/drift.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { adoptPartitions } from '../../activities/postgres/replication/partitions.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { underway } from '../support/underway.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { accepts, inputOf } from '../support/switching.js';
import { digestOf, prepareReplication, undoPreparation } from '../support/sync.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

const TABLES = `
  ${WRITER_TABLES}
  create table event (at date, id int, note text, primary key (at, id)) partition by range (at);
  create table event_2026 partition of event for values from ('2026-01-01') to ('2027-01-01');
  insert into event select '2026-01-01', i, 'old' from generate_series(1, 500) i;
`;
/** Two levels. */
const NEW = [
  `create table event_2027 partition of event for values from ('2027-01-01') to ('2028-01-01') partition by hash (id)`,
  `create table event_2027_0 partition of event_2027 for values with (modulus 2, remainder 0)`,
  `create table event_2027_1 partition of event_2027 for values with (modulus 2, remainder 1)`,
];

/** Writes into old and new partitions, one after the other, until it is stopped, or the test is over. */
class EventWriter {
  #stopping = false;
  #running: Promise<void>;
  #written = 0;

  constructor(readonly name: string) {
    this.#running = underway(this.#run());
    onTestFinished(() => void (this.#stopping = true));
  }

  /** Once so many were written. */
  async stop(least = 10): Promise<void> {
    while (this.#written < least) await Promise.race([sleep(5), this.#running]);
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let n = 10_000; !this.#stopping; n += 1) {
      await pair.source.query(
        `insert into event values ('2026-06-01', ${n}, 'new'), ('2027-06-01', ${n}, 'new');
         update event set note = note || '!' where id = ${n - 5}; delete from event where id = ${n - 50}`,
        [],
        this.name,
      );
      this.#written += 1;
    }
  }
}

async function replicating(name: string): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(TABLES, [], name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  return move;
}

async function make(side: 'source' | 'target', name: string): Promise<void> {
  for (const sql of NEW) await pair[side].query(sql, [], name);
}

async function expectEqual(move: DatabaseMove, name: string): Promise<void> {
  await catchUp(move);
  expect(await validate(move)).toMatchObject({ verdict: 'equal' });
  expect((await observe(move)).drift).toBeNull();
  const own = (await catalogOf(pair.target, name)).filter(
    (line) => line.includes(`${move.key}_`) && /_\d+[ _]/.test(line.split(move.key)[1] ?? ''),
  );
  expect(own).toEqual([]);
}

describe('a partition that came on the source', () => {
  test('comes along once the target has it, rows from before and since, there and back, under writers', async () => {
    const name = fresh('new_partition');
    const move = await replicating(name);
    const writers = Writers.start(pair, name, 2);
    await make('source', name);
    await pair.source.query(
      `insert into event select '2027-01-01', i, 'early' from generate_series(1, 300) i`,
      [],
      name,
    );
    const events = new EventWriter(name);
    expect((await observe(move)).drift?.differences.join()).toContain('event_2027');
    await expect(adoptPartitions(move)).rejects.toMatchObject({
      type: 'SchemaMismatch',
      message: expect.stringContaining(
        "CREATE TABLE public.event_2027 PARTITION OF public.event FOR VALUES FROM ('2027-01-01')",
      ) as string,
    });
    await make('target', name);
    await pair.target
      .query(`insert into event_2027_0 values ('2027-02-02', 2, 'stray')`, [], name)
      .catch(() => undefined);
    const strays = await pair.target.query('select from event_2027', [], name);
    if (strays.length > 0) {
      await expect(adoptPartitions(move)).rejects.toMatchObject({ type: 'TargetNotEmpty' });
      await pair.target.query('truncate event_2027_0, event_2027_1', [], name);
    }
    expect(await adoptPartitions(move)).toEqual({ adopted: 2 });
    expect(await adoptShape(move)).toEqual({ adopted: true });
    expect(await adoptPartitions(move)).toEqual({ adopted: 0 });
    await events.stop();
    await expectEqual(move, name);

    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await expect(
      pair.source.query(`insert into event_2027_0 values ('2027-02-02', 2)`, [], name),
    ).rejects.toMatchObject({
      code: '25006',
    });
    await pair.target.query(
      `insert into event values ('2027-07-07', 1, 'there'), ('2027-07-08', 2, 'there')`,
      [],
      name,
    );
    await writers.progress(10);
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
    await writers.progress(10);
    expect(await pair.source.query(`select from event where note = 'there'`, [], name)).toHaveLength(2);
    expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], lost: 0, balanced: true });
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    expect(await accepts(pair.target, name)).toBe(false);
    await undoPreparation(move);
    expect((await catalogOf(pair.source, name)).filter((line) => line.includes('godwit'))).toEqual([]);
  });

  test.each([
    'adopt.fenced',
    'adopt.copied',
    'adopt.unsubscribed',
    'adopt.handed-over',
    'adopt.merged',
    'adopt.subscribed',
  ])(
    'and whoever brings it dies at %s: the next one completes it, and no change is lost or applied twice',
    async (point) => {
      const name = fresh(point.replace(/\W/g, '_'));
      const move = await replicating(name);
      for (const side of ['source', 'target'] as const) await make(side, name);
      const events = new EventWriter(name);
      let died = false;
      injectFaults((reached) => {
        if (reached !== point || died) return;
        died = true;
        throw new Error(`died at ${point}`);
      });
      await expect(adoptPartitions(move)).rejects.toThrow('died at');
      await adoptPartitions(move);
      await adoptShape(move);
      await events.stop();
      await expectEqual(move, name);
      await undoPreparation(move);
    },
  );
});
