/** Checks of rows besides comparing them: references, times, duplicates, and the user's own rules; under live writes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { business } from '../../activities/reconciliation/checks/business.js';
import { dangling } from '../../activities/reconciliation/checks/dangling.js';
import { duplicates } from '../../activities/reconciliation/checks/duplicates.js';
import { temporal } from '../../activities/reconciliation/checks/temporal.js';
import { judged, severityOf, type Finding } from '../../activities/reconciliation/findings.js';
import type { BusinessRule, NormalChecks } from '../../spec/reconciliation.js';
import { underway } from '../support/underway.js';
import { connect, until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { lines, reconciled, type Reconciled } from '../support/checked.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());

const checks = (change: Partial<NormalChecks>): { checks: NormalChecks } => ({
  checks: { temporal: [], duplicates: [], business: [], ...change },
});

/** As replicated rows come: no trigger fires. */
const silently = (sql: string): string[] => ['begin', 'set local session_replication_role = replica', sql, 'commit'];

const ORDERS = `
  create table customer (id int primary key, region text);
  create table orders (id int primary key, customer int references customer, sent timestamptz, paid timestamptz, seq int);
  insert into customer select n, 'r' || n % 3 from generate_series(1, 50) n;
  insert into orders select n, 1 + n % 50, now() - interval '2 days', now() - interval '1 day', n from generate_series(1, 500) n;`;

/** Clients that write on the source for as long as `work` takes; every reference, time and number of theirs is as it should be. */
async function underWrites<T>({ move }: Reconciled, work: () => Promise<T>): Promise<T> {
  let going = true;
  let written = 0;
  const client = async (index: number): Promise<void> => {
    const connection = await connect(pair.source.url(move.database.name));
    for (let n = 1_000_000 * index; going; n += 1) {
      const id = 10_000 + n;
      await connection.query(`
        begin; insert into customer values (${id}, 'new');
        insert into orders values (${id}, ${id}, now() - interval '1 s', now(), null); commit`);
      if (n % 2 === 0) {
        await connection.query(
          `begin; delete from orders where id = ${id}; delete from customer where id = ${id}; commit`,
        );
      }
      written += 1;
    }
    await connection.end();
  };
  const clients = [1, 2, 3].map((index) => client(index));
  const failed = Promise.all(clients);
  failed.catch(() => (written = Infinity));
  try {
    while (written < 50) await sleep(5);
    return await work();
  } finally {
    going = false;
    await failed;
  }
}

// ── dangling ──

test('rows that refer to nothing are named by key on the side where they are, under live writes, and no others', async () => {
  const databases = await reconciled(pair, fresh('dangling'), ORDERS);
  const { run, source, target, close } = databases;
  await target.batch(silently('delete from public.customer where id = 7'));
  await source.batch(silently('insert into public.orders (id, customer) values (9001, -1)'));
  const found = await underWrites(databases, () => dangling(run));
  expect(found.notChecked).toEqual([]);
  const child = (key: number): string =>
    `dangling public.orders customer [${key}] ×1: no row in public.customer (orders_customer_fkey)`;
  expect(lines(found)).toEqual(
    [
      `source: ${child(9001)}`,
      `target: ${child(9001)}`,
      ...Array.from({ length: 10 }, (_, n) => `target: ${child(6 + 50 * n)}`),
    ].sort(),
  );
  await close();
});

test('more than a thousand are counted exactly, and the first thousand named', async () => {
  const { run, target, close } = await reconciled(
    pair,
    fresh('many'),
    `create table parent (a int, b text, primary key (a, b));
     create table child (id uuid primary key default gen_random_uuid(), a int, b text, foreign key (a, b) references parent);
     insert into child (a) values (1)`,
  );
  await target.batch(silently(`insert into public.child (a, b) select n, 'x' from generate_series(1, 1500) n`));
  const { findings } = await dangling(run);
  expect(findings).toHaveLength(1_001);
  expect(findings.filter(({ key }) => key === null)).toMatchObject([{ count: 500, side: 'target', kind: 'dangling' }]);
  expect(new Set(findings.map(({ key }) => key?.join())).size).toBe(1_001);
  await close();
});

test('a foreign key that is missing on one side is looked at there too; across, where its parent is on the other', async () => {
  const databases = await reconciled(pair, fresh('across'), ORDERS);
  const { run, source, target, caughtUp, close } = databases;
  await target.run('alter table public.orders drop constraint orders_customer_fkey');
  await target.batch(silently('insert into public.orders (id, customer) values (9001, 4711)'));
  expect(lines(await dangling(run))).toEqual([
    'target: dangling public.orders customer [9001] ×1: no row in public.customer (orders_customer_fkey)',
  ]);
  // Only the child has moved.
  const subscription = await target.row<{ name: string }>(
    'select subname as name from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())',
  );
  const publication = subscription?.name.replace('_forward', '') ?? '';
  await source.run(`alter publication ${publication} drop table public.customer`);
  await target.run(`alter subscription ${subscription?.name ?? ''} refresh publication with (copy_data = false)`);
  await target.run('drop table public.customer');
  await caughtUp();
  const found = await underWrites(databases, () => dangling(run));
  expect(found.notChecked).toEqual([]);
  expect(lines(found)).toEqual([
    'target: dangling public.orders customer [9001] ×1: no row in public.customer of the source (orders_customer_fkey)',
  ]);
  await close();
});

test('what a standby that lags shows is not judged', async () => {
  const { run, target, close } = await reconciled(pair, fresh('lagging'), ORDERS);
  await target.batch(silently('delete from public.customer where id = 7'));
  const found = await dangling({ ...run, caughtUp: () => Promise.resolve(false) });
  expect(found.findings).toEqual([]);
  expect(found.notChecked).toEqual([
    {
      what: 'foreign key orders_customer_fkey of public.orders on the target',
      why: 'the standby did not catch up within 30 s, and what differs may be on its way',
    },
  ]);
  await close();
});

// ── temporal ──

test('times out of order and in the future, and gaps per group, on both sides, under live writes', async () => {
  const databases = await reconciled(
    pair,
    fresh('times'),
    `${ORDERS}
     create table event (room text, n int, at timestamptz not null default now(), primary key (room, n));
     insert into event (room, n) select room, n from unnest(array['a', 'b']) room, generate_series(1, 20) n;`,
    checks({
      temporal: [
        { kind: 'order', tables: '*.*', earlier: 'sent', later: 'paid' },
        { kind: 'not-in-future', tables: 'public.orders', column: 'sent', tolerance: 5_000 },
        { kind: 'no-gaps', tables: 'public.event', column: 'n', per: ['room'] },
      ],
    }),
  );
  const { run, source, target, caughtUp, close } = databases;
  await source.run(`update public.orders set paid = sent - interval '1 s' where id = 3`);
  await caughtUp();
  await target.batch(
    silently(`update public.orders set sent = now() + interval '1 hour', paid = null where id in (4, 5)`),
  );
  await source.run(`delete from public.event where room = 'b' and n in (4, 5, 9)`);
  const found = await underWrites(databases, () => temporal(run));
  expect(found.notChecked).toEqual([]);
  expect(lines(found)).toEqual([
    'source: temporal public.event n+room [b,10] ×1: numbers are missing before this n of its room',
    'source: temporal public.event n+room [b,6] ×1: numbers are missing before this n of its room',
    'source: temporal public.orders sent+paid [3] ×1: paid is before sent',
    'target: temporal public.event n+room [b,10] ×1: numbers are missing before this n of its room',
    'target: temporal public.event n+room [b,6] ×1: numbers are missing before this n of its room',
    'target: temporal public.orders sent [4] ×1: sent is in the future',
    'target: temporal public.orders sent [5] ×1: sent is in the future',
    'target: temporal public.orders sent+paid [3] ×1: paid is before sent',
  ]);
  await close();
});

test('a gap that an open transaction fills is none; one that stays is', async () => {
  const { run, source, caughtUp, close, move } = await reconciled(
    pair,
    fresh('filling'),
    'create table event (id int primary key); insert into event values (1), (3)',
    checks({ temporal: [{ kind: 'no-gaps', tables: 'public.event', column: 'id', per: [] }] }),
  );
  const other = await connect(pair.source.url(move.database.name));
  // As one that has asked a sequence for its number: it has written nothing yet.
  await other.query('begin; select 1');
  const looking = underway(temporal(run));
  // It asks again and again until that transaction is over.
  const waiting = `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '%virtualxid%'`;
  await until(pair.source, move.database.name, waiting);
  await other.query('insert into event values (2); commit');
  await other.end();
  expect(await looking).toEqual({ findings: [], notChecked: [] });
  await source.run('delete from public.event where id = 2');
  await caughtUp();
  expect(lines(await temporal(run))).toHaveLength(2);
  await close();
});

test('a rule that stands for no table, or can not be computed, is not checked', async () => {
  const { run, close } = await reconciled(
    pair,
    fresh('misspelt'),
    ORDERS,
    checks({
      temporal: [
        { kind: 'order', tables: 'public.orders', earlier: 'sent', later: 'payed' },
        { kind: 'no-gaps', tables: 'public.customer', column: 'region', per: [] },
      ],
    }),
  );
  const found = await temporal(run);
  expect(found.findings).toEqual([]);
  expect(found.notChecked).toEqual([
    { what: 'order of public.orders on the source', why: 'no table of that name is reconciled that has sent, payed' },
    {
      what: 'no-gaps of public.customer on the source',
      why: expect.stringContaining('operator does not exist: text - text') as string,
    },
    { what: 'order of public.orders on the target', why: 'no table of that name is reconciled that has sent, payed' },
    {
      what: 'no-gaps of public.customer on the target',
      why: expect.stringContaining('operator does not exist: text - text') as string,
    },
  ]);
  await close();
});

// ── duplicates ──

test('rows that a rule, or an index of the other side, says should be unique', async () => {
  const databases = await reconciled(
    pair,
    fresh('twice'),
    `${ORDERS}
     create table place (id int primary key); insert into place select generate_series(1, 5);
     create table person (id int primary key, email text, name text);
     create unique index by_email on person (lower(email)) where email <> '';
     insert into person select n, 'p' || n || '@example.com', 'n' || n % 8 from generate_series(1, 10) n;
     insert into person values (11, null, null), (12, null, null), (13, '', null), (14, '', null);`,
    checks({ duplicates: [{ tables: 'public.person', columns: ['name'] }] }),
  );
  const { run, target, close } = databases;
  await target.batch([
    'drop index public.by_email',
    'alter table public.place drop constraint place_pkey',
    ...silently(`
      insert into public.person values (15, 'P3@example.com', 'n99');
      insert into public.place values (5)`),
  ]);
  const found = await underWrites(databases, () => duplicates(run));
  expect(found.notChecked).toEqual([]);
  expect(lines(found)).toEqual([
    'source: duplicate public.person name [10] ×1: another row has the same values in name',
    'source: duplicate public.person name [9] ×1: another row has the same values in name',
    'target: duplicate public.person [15] ×1: another row has the same values on this side, which lacks the unique index by_email of the source',
    'target: duplicate public.person name [10] ×1: another row has the same values in name',
    'target: duplicate public.person name [9] ×1: another row has the same values in name',
    'target: duplicate public.place ×1: another row has the same values on this side, which lacks the unique index place_pkey of the source',
  ]);
  await close();
});

// ── business ──

const no = (name: string, sql: string): BusinessRule => ({
  kind: 'no-rows',
  name,
  sql,
  on: ['source', 'target'],
  severity: null,
});

const same = (name: string, sql: string, tolerance = 0): BusinessRule => ({
  kind: 'same',
  name,
  sql: { source: sql, target: sql },
  tolerance,
  severity: 'critical',
});

test('rules in SQL: no rows, the same on both sides, and a number within bounds; under live writes', async () => {
  const databases = await reconciled(
    pair,
    fresh('business'),
    `create schema shop; create table shop.amount (id int primary key, value numeric, measured float8);
     insert into shop.amount select n, n, n / 3.0 from generate_series(1, 10) n; ${ORDERS}`,
    checks({
      business: [
        no('paid after sent', 'select * from orders where paid < sent; -- as users write it\n'),
        no('own search path', 'select from amount where value < 0'),
        same('amounts', 'select id, value, measured from amount order by id', 0.5),
        same('exactly', 'select sum(value) * 10000000000000000000 from amount'),
        same('by region', 'select region, count(*) from customer where id <= 50 group by 1 order by 1'),
        {
          kind: 'within',
          name: 'most',
          sql: 'select max(value) from amount',
          on: ['source', 'target'],
          min: 0,
          max: 100,
          severity: null,
        },
      ],
    }),
  );
  const { run, source, target, close, move } = databases;
  for (const session of [source, target])
    await session.run(`alter database ${move.database.name} set search_path = shop, public`);
  await target.batch(
    silently(`
      update public.orders set paid = sent - interval '1 s' where id in (1, 2);
      update shop.amount set value = 2.4 where id = 2;
      update shop.amount set value = 4.6, measured = 0 where id = 4;
      update shop.amount set value = 500 where id = 10;
      update public.customer set region = 'r9' where id = 1`),
  );
  const found = await underWrites(databases, () => business(run));
  expect(found.notChecked).toEqual([]);
  expect(lines(found)).toEqual([
    'both: business . ×1: rule exactly: 1 rows of 1 differ, the first is row 1 in column ?column?',
    'both: business . ×2: rule amounts: 2 rows of 10 differ, the first is row 4 in column value',
    'both: business . ×2: rule by region: 2 rows of 3 and 4 differ, the first is row 2 in column count',
    'target: business . ×1: rule most: above 100 on the target',
    'target: business . ×2: rule paid after sent: 2 rows on the target, where none should be',
  ]);
  const [first] = found.findings;
  expect(severityOf('business', 1, run.normal.severity, first?.severity)).toBe('high');
  await close();
});

test('one statement that reads: nothing can follow it, write, or take longer than it may', async () => {
  const { run, source, close } = await reconciled(
    pair,
    fresh('refused'),
    `${ORDERS} create function meddle() returns int language plpgsql as $$ begin delete from public.orders; return 1; end $$;
     create function shout() returns int language plpgsql as $$ begin raise exception 'ada@example.com'; end $$;`,
    checks({
      business: [
        no('two', 'select 1; delete from orders'),
        no('writes', 'delete from orders returning id'),
        no('writes inside', 'with gone as (delete from orders returning id) select * from gone'),
        no('by function', 'select meddle()'),
        no('settings', `select set_config('transaction_read_only', 'off', false), meddle()`),
        no('sleeps', 'select pg_sleep(20)'),
        no('misspelt', 'select * from ordres'),
        no('shouts', 'select shout()'),
        no('quotes', `select ('secret ' || id)::int from orders`),
        {
          kind: 'within',
          name: 'two rows',
          sql: 'select id from orders',
          on: ['source'],
          min: 0,
          max: 1,
          severity: null,
        },
        {
          kind: 'within',
          name: 'none',
          sql: 'select max(id) from orders where false',
          on: ['source'],
          min: 0,
          max: 1,
          severity: null,
        },
      ].map((rule) => ({ ...rule, on: ['source'] }) as BusinessRule),
    }),
  );
  const limits = { ...run.normal.limits, statementTimeout: 2_000 };
  const found = await business({ ...run, normal: { ...run.normal, limits } });
  expect(found.findings).toEqual([]);
  const why = Object.fromEntries(
    found.notChecked.map((one) => [one.what.replace(/rule (.*) on the source/, '$1'), one.why]),
  );
  expect(why).toEqual({
    two: 'cannot insert multiple commands into a prepared statement (SQLSTATE 42601)',
    writes: expect.stringContaining('syntax error at or near "delete"') as string,
    'writes inside': 'DECLARE CURSOR must not contain data-modifying statements in WITH (SQLSTATE 0A000)',
    'by function': 'cannot execute DELETE in a read-only transaction (SQLSTATE 25006)',
    settings: expect.stringContaining('transaction read-write mode must be set before any query') as string,
    sleeps: 'a statement did not finish within limits.statementTimeout (2 s), or was cancelled',
    misspelt: 'relation "ordres" does not exist (SQLSTATE 42P01)',
    shouts: 'the server answered with SQLSTATE P0001',
    quotes: 'invalid input syntax for type integer (SQLSTATE 22P02)',
    'two rows': 'it does not answer one number, which may not be null',
    none: 'it does not answer one number, which may not be null',
  });
  expect(await source.row('select count(*)::int as n from public.orders')).toEqual({ n: 500 });
  await close();
});

test('two queries whose answers move with every write are the same, or can not be told; never different', async () => {
  const databases = await reconciled(
    pair,
    fresh('moving'),
    ORDERS,
    checks({
      business: [same('count', 'select count(*) from orders'), same('newest', 'select max(id) from customer')],
    }),
  );
  const found = await underWrites(databases, () => business(databases.run));
  expect(found.findings).toEqual([]);
  for (const { why } of found.notChecked) expect(why).toContain('faster than it can be asked twice');
  expect(await business(databases.run)).toEqual({ findings: [], notChecked: [] });
  await databases.close();
});

// ── severities ──

test('severities: by kind, raised by number, overruled by the user, and by the rule itself', () => {
  const usual = { kinds: {}, highAbove: 100 };
  expect(severityOf('missing', 100, usual)).toBe('medium');
  expect(severityOf('missing', 101, usual)).toBe('high');
  expect(severityOf('dangling', 1, usual)).toBe('high');
  expect(severityOf('temporal', 1, usual)).toBe('medium');
  expect(severityOf('drift', 1, { kinds: { drift: 'critical' }, highAbove: 0 })).toBe('critical');
  expect(severityOf('business', 500, usual, 'low')).toBe('low');

  const late: Finding = {
    kind: 'temporal',
    schema: 'public',
    table: 'event',
    key: ['1'],
    columns: null,
    side: 'target',
    count: 1,
    detail: '',
  };
  const many = [...Array.from({ length: 100 }, () => late), { ...late, key: null }, { ...late, table: 'other' }];
  expect(judged(many, usual).map(({ severity }) => severity)).toEqual([
    ...Array.from({ length: 101 }, () => 'high'),
    'medium',
  ]);
});
