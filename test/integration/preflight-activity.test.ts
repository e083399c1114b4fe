import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { preflightWith } from '../../activities/preflight/preflight.js';
import { transactionsWithin } from '../../activities/preflight/transactions.js';
import { underway } from '../support/underway.js';
import { connect } from '../support/clients.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
const clients: pg.Client[] = [];

beforeAll(async () => {
  pair = await startPair();
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query('create table customer (id bigint primary key, name text)', [], 'shop');
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});
afterAll(() => pair.destroy());

const move = (change: Partial<NormalDatabase> = {}): DatabaseMove => moveOf(pair, 'shop', change);

async function client(side: 'source' | 'target', application: string): Promise<pg.Client> {
  const opened = await connect(pair[side].url('shop'), application);
  clients.push(opened);
  return opened;
}

/** The minute after which a transaction counts as long would be a long wait in a test. */
const impatient = transactionsWithin({ long: 0, idle: 60_000 });

test.each(['source', 'target'] as const)(
  'a long transaction on the %s is named without its statement',
  async (side) => {
    const open = await client(side, 'report');
    await open.query(`begin; select 'a secret value'`);
    const { rows } = await open.query<{ pid: number }>('select pg_backend_pid() as pid');
    const finding = (await preflightWith(move(), [impatient])).find(({ id }) => id === 'long-transaction');
    expect(finding).toMatchObject({ severity: 'warning', side });
    expect(finding?.evidence).toMatch(
      new RegExp(`^pid ${rows[0]?.pid}, user postgres, application report, database shop: open for [\\d.]+`),
    );
    expect(JSON.stringify(finding)).not.toContain('a secret value');
    await repair(finding, pair[side], 'shop');
    const mended = async () => (await preflightWith(move(), [impatient])).map(({ id }) => id);
    await expect.poll(mended).not.toContain('long-transaction');
  },
);

test('a session that is idle in its transaction is a finding of its own', async () => {
  await (await client('source', 'forgetful')).query('begin; select 1');
  const findings = await preflightWith(move(), [transactionsWithin({ long: 0, idle: 0 })]);
  expect(findings).toMatchObject([
    { id: 'idle-in-transaction', severity: 'warning', evidence: expect.stringContaining('forgetful') as string },
  ]);
  // Ten seconds are the real limit.
  expect(await find(move(), 'idle-in-transaction')).toBeUndefined();
});

test('transactions above cutover.maxPause are a warning', async () => {
  await (await client('source', 'slow')).query('begin; select 1');
  const { cutover } = move().database;
  const impatientMove = move({ cutover: { ...cutover, maxPause: 1 } });
  expect(await find(impatientMove, 'transaction-above-pause')).toMatchObject({
    severity: 'warning',
    evidence: expect.stringMatching(/application slow.*cutover\.maxPause is/) as string,
  });
  expect(await find(move({ cutover: { ...cutover, maxPause: 3_600_000 } }), 'transaction-above-pause')).toBeUndefined();
});

test.each(['source', 'target'] as const)(
  'a prepared transaction of any database of the %s is an error that names its gid',
  async (side) => {
    await pair[side].query(`begin; create table later (id int); prepare transaction 'two''s phase'`, [], 'postgres');
    onTestFinished(async () => {
      await pair[side].query(`rollback prepared 'two''s phase'`, [], 'postgres').catch(() => undefined);
    });
    const finding = await find(move(), 'prepared-transaction');
    expect(finding).toMatchObject({ severity: 'error', side });
    expect(finding?.evidence).toMatch(/^two's phase of postgres in database postgres, for /);
    const statement = /ROLLBACK PREPARED '.*'$/.exec(finding?.repair[0] ?? '')?.[0] ?? '';
    await pair[side].query(statement, [], 'postgres');
    expect(await find(move(), 'prepared-transaction')).toBeUndefined();
  },
);

test('an index build on a table is said', async () => {
  await (await client('source', 'writer')).query(`begin; insert into customer values (1, 'x')`);
  const builder = await client('source', 'builder');
  const building = underway(builder.query('create index concurrently on customer (name)'));
  await expect
    .poll(() => find(move(), 'maintenance-running'))
    .toMatchObject({ severity: 'info', evidence: expect.stringMatching(/^index build of public\.customer/) as string });
  await clients[0]?.query('commit');
  await building;
});

test('another subscription into a table in scope is an error until it is disabled', async () => {
  onTestFinished(async () => {
    await pair.source.query('drop subscription if exists elsewhere', [], 'shop');
    await pair.target.query('drop publication if exists upstream; drop table if exists customer', [], 'shop');
  });
  await pair.target.query('create table customer (id bigint primary key, name text)', [], 'shop');
  await pair.target.query('create publication upstream for table customer', [], 'shop');
  await pair.source.query(
    `create subscription elsewhere connection '${pair.target.url('shop')}' publication upstream with (copy_data = false)`,
    [],
    'shop',
  );
  const finding = await find(move(), 'other-subscription');
  expect(finding).toMatchObject({
    severity: 'error',
    side: 'source',
    evidence: 'elsewhere into public.customer',
  });
  // Active once its apply worker was started.
  await expect
    .poll(() => find(move(), 'other-slot', 'target'))
    .toMatchObject({
      severity: 'info',
      evidence: expect.stringMatching(/^elsewhere \(logical, pgoutput, database shop, active, holds back /) as string,
    });
  await pair.source.query(/^ALTER .* DISABLE/.exec(finding?.repair[0] ?? '')?.[0] ?? '', [], 'shop');
  expect(await find(move(), 'other-subscription')).toBeUndefined();
});

test('a slot of others is said, with how to drop an inactive one; our own is not', async () => {
  onTestFinished(async () => {
    await pair.source.query(
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name ~ '^(warehouse|godwit_)'`,
    );
  });
  await pair.source.query(`select pg_create_logical_replication_slot('warehouse', 'pgoutput')`, [], 'shop');
  await pair.source.query(
    `select pg_create_logical_replication_slot('godwit_0123456789ab_forward', 'pgoutput')`,
    [],
    'shop',
  );
  const finding = await find(move(), 'logical-slot-stays', 'source');
  expect(finding?.evidence).toMatch(
    /^warehouse \(logical, pgoutput, database shop, inactive, holds back [\d.]+ k?B\)$/,
  );
  await pair.source.query(/SELECT .*/.exec(finding?.repair[0] ?? '')?.[0] ?? '');
  expect(await find(move(), 'logical-slot-stays', 'source')).toBeUndefined();
});

test('a publication for all tables is a warning', async () => {
  onTestFinished(async () => {
    await pair.source.query('drop publication if exists everything', [], 'shop');
  });
  await pair.source.query('create publication everything for all tables', [], 'shop');
  expect(await find(move(), 'publication-for-all-tables', 'source')).toMatchObject({
    severity: 'warning',
    evidence: 'everything',
  });
});
