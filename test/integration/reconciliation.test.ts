/** One run over two databases of a user's own: what differs is found, and nothing else. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

const SCHEMA = `
  create table customer (id bigint primary key, email text not null, balance numeric(12,2) not null, seen timestamptz);
  create table tag (name text primary key, weight float8);
  create table visit (customer bigint, page text, at timestamptz);
  create table event (tenant uuid, number int, body jsonb, primary key (tenant, number))`;
const ROWS = `
  insert into customer select i, 'c' || i || '@example.org', i / 7.0, timestamptz '2026-01-01' + i * interval '1 minute' from generate_series(1, 20000) i;
  insert into tag select 'tag ' || i, sqrt(i) from generate_series(1, 500) i;
  insert into visit select i % 50, 'page ' || i % 10, timestamptz '2026-01-01' + i % 3 * interval '1 day' from generate_series(1, 3000) i;
  insert into event select md5((i % 20)::text)::uuid, i, jsonb_build_object('n', i) from generate_series(1, 2000) i`;

const INJECTED = `
  update customer set balance = balance + 0.01 where id = 77;
  update customer set email = email || ' ', seen = null where id = 1234;
  delete from customer where id = 19999;
  insert into customer values (20001, 'nobody', 0, null);
  update tag set weight = -weight where name = 'tag 16';
  delete from visit where ctid = (select min(ctid) from visit where page = 'page 3');
  update event set body = '{"n": [1, 2]}' where number = 40`;

const FOUND = [
  'customer changed 1234 (email,seen)',
  'customer changed 77 (balance)',
  'customer extra 20001',
  'customer missing 19999',
  'event changed cfcd2084-95d5-65ef-66e7-dff9f98764da,40 (body)',
  'tag changed tag 16 (weight)',
];

describe('a comprehensive run', () => {
  test('of equal sides under a subscription of the user is equal, and its certificate says until when', async () => {
    const shop = await Reconciled.start(pair, fresh('equal'), { schema: SCHEMA, rows: ROWS });
    const summary = await shop.run(shop.normal());
    expect(summary).toMatchObject({
      outcome: 'done',
      verdict: 'equal',
      tables: 4,
      rows: 25_500,
      found: [],
      remaining: 0,
    });
    const [kept] = await shop.on<{ certificate: Record<string, unknown> }>(
      'target',
      'select certificate from godwit.reconciliation_run where run = $1',
      [summary.run],
    );
    expect(kept?.certificate).toMatchObject({
      verdict: 'equal',
      lsn: summary.lsn,
      proof: `what is applied from slot ${shop.name}`,
    });
  });

  test('finds what was changed on the target alone, to the row and the column', async () => {
    const shop = await Reconciled.start(pair, fresh('differs'), { schema: SCHEMA, rows: ROWS });
    await shop.on('target', INJECTED);
    const summary = await shop.run(shop.normal());
    expect(summary).toMatchObject({ verdict: 'different', remaining: 7, suspects: 0 });
    const found = await shop.found(summary.run);
    expect(found.filter((line) => !line.startsWith('visit'))).toEqual(FOUND);
    expect(found.filter((line) => line.startsWith('visit count'))).toHaveLength(1);
  });

  test('without any replication compares the sides as they are', async () => {
    const shop = await Reconciled.start(pair, fresh('apart'), { schema: SCHEMA, rows: ROWS, replicated: false });
    expect(await shop.run(shop.normal({ replication: { none: true } }))).toMatchObject({ verdict: 'equal' });
    await shop.on('target', INJECTED);
    const summary = await shop.run(shop.normal());
    expect(summary.remaining).toBe(7);
  });

  test('goes on where an attempt that was stopped has been', async () => {
    const shop = await Reconciled.start(pair, fresh('stopped'), { schema: SCHEMA, rows: ROWS });
    await shop.on('target', INJECTED);
    const run = randomUUID();
    const stop = new AbortController();
    const slow = shop.normal({ limits: { rowsPerSecond: 2_000 } });
    const first = underway(shop.run(slow, { run, signal: stop.signal }));
    await expect
      .poll(
        async () => {
          const known = await shop.on<{ known: boolean }>(
            'target',
            `select to_regclass('godwit.reconciliation_watermark') is not null as known`,
          );
          if (known[0]?.known !== true) return 0;
          const done = await shop.on<{ done: number }>(
            'target',
            'select count(*)::int as done from godwit.reconciliation_piece where run = $1 and figures is not null',
            [run],
          );
          return done[0]?.done ?? 0;
        },
        { timeout: 60_000 },
      )
      .toBeGreaterThan(0);
    stop.abort();
    await expect(first).rejects.toThrow();
    const before = await shop.on<{ id: string }>('target', 'select id from godwit.reconciliation_finding order by 1');
    const summary = await shop.run(shop.normal(), { run });
    expect(summary).toMatchObject({ verdict: 'different', remaining: 7, rows: 25_500 });
    const after = await shop.on<{ id: string }>('target', 'select id from godwit.reconciliation_finding order by 1');
    expect(after.map(({ id }) => id)).toEqual(expect.arrayContaining(before.map(({ id }) => id)));
    // asked again, since its answer was lost
    expect(await shop.run(shop.normal(), { run })).toEqual(summary);
  });

  test('puts a thousand of a kind into the queue, however many there are and however often it is run', async () => {
    const shop = await Reconciled.start(pair, fresh('queue'), {
      schema: 'create table item (id int primary key); create table place (name text primary key)',
      rows: `insert into item select generate_series(1, 2000); insert into place select 'p' || n from generate_series(1, 50) n`,
      replicated: false,
    });
    await shop.on('target', `delete from item where id > 700; delete from place where name = 'p7'`);
    const normal = shop.normal({ replication: { none: true } });
    const queued = (): Promise<{ line: string }[]> =>
      shop.on(
        'target',
        `select concat_ws(' ', f.table_name, v.state, count(*)) as line
         from godwit.reconciliation_review v join godwit.reconciliation_finding f on f.id = v.finding
         group by f.table_name, v.state order by 1`,
      );
    const thousand = [{ line: 'item waiting 1000' }, { line: 'place waiting 1' }];
    expect(await shop.run(normal)).toMatchObject({ verdict: 'different', remaining: 1_301, queued: 1_001 });
    expect(await queued()).toEqual(thousand);
    expect(await shop.run(normal)).toMatchObject({ verdict: 'different', remaining: 1_301, queued: 1_001 });
    expect(await queued()).toEqual(thousand);
    // what was decided makes room for others
    await shop.on(
      'target',
      `update godwit.reconciliation_review set state = 'rejected' where id in (select min(id) from godwit.reconciliation_review)`,
    );
    expect(await shop.run(normal)).toMatchObject({ queued: 1_001 });
  });
});
