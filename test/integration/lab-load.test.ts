import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { check } from '../../lab/check.js';
import { Load, type LoadOptions } from '../../lab/load.js';
import { identityOf } from '../../lab/world/process-identity.js';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { createShopDatabase, fillShop, SHOP, SMALL_SIZE } from '../../lab/shop/create.js';
import { startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let bouncer: PgBouncer;
let folder: string;
let records = 0;

beforeAll(async () => {
  pair = await startPair();
  await createShopDatabase(pair.source);
  await fillShop(pair.source, SMALL_SIZE);
  folder = await mkdtemp(join(tmpdir(), 'godwit-load-'));
  await chmod(folder, 0o755);
  bouncer = await PgBouncer.start({
    folder: join(folder, 'bouncer'),
    databases: { shop: { host: '127.0.0.1', port: pair.source.port, dbname: 'shop' } },
    users: { [SHOP.user]: SHOP.password },
  });
});

afterAll(async () => {
  await bouncer?.destroy();
  await pair?.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function startLoad(options: Partial<LoadOptions> = {}): Promise<Load> {
  const load = await Load.start({
    url: bouncer.url('shop', SHOP.user, SHOP.password),
    record: join(folder, `record-${(records += 1)}.jsonl`),
    clients: 4,
    rate: 400,
    ...options,
  });
  // That of a failed test would go on beside those after it.
  onTestFinished(() => load.kill());
  return load;
}

/** Waits for requests, not for time: how many a busy machine manages in a second isn't known. */
const sent = (load: Load, atLeast: number): Promise<void> =>
  expect.poll(async () => (await load.snapshot()).sent, { timeout: 60_000 }).toBeGreaterThan(atLeast);

const verdictOf = async (load: Load) =>
  check({ record: await load.record(), primary: pair.source.url('shop'), switches: [] });

test('every request is recorded with its time, its answer and its server, and the checker finds all of them', async () => {
  const load = await startLoad();
  await sent(load, 300);
  const last = await load.stop();
  expect(identityOf(load.pid)).toBeNull();

  const record = await load.record();
  expect(record.complete).toBe(true);
  expect(record.requests).toHaveLength(last.sent);
  expect(new Set(record.requests.map(({ kind }) => kind))).toEqual(new Set(['transfer', 'order', 'visit', 'read']));
  for (const { kind, outcome, server, startedAt, acceptedAt, endedAt } of record.requests) {
    expect(outcome).toBe('acknowledged');
    expect(endedAt).toBeGreaterThanOrEqual(startedAt);
    if (kind === 'read') continue;
    expect(server).toBe(`127.0.0.1:${pair.source.port}`);
    expect(acceptedAt).not.toBeNull();
  }
  expect(await verdictOf(load)).toMatchObject({
    ok: true,
    requests: { sent: last.sent, failed: 0, unknown: 0 },
    handovers: 0,
  });
});

test('a load keeps to its rate', async () => {
  const load = await startLoad({ rate: 100 });
  await sent(load, 100);
  const { sent: requests, seconds } = await load.stop();
  expect(requests / seconds).toBeLessThan(115);
});

test('a request refused by the server is a failed one, and is nowhere', async () => {
  const load = await startLoad();
  await sent(load, 50);
  await pair.source.query(
    `
    create function refuse() returns trigger language plpgsql as $$
      begin raise 'read only here' using errcode = '25006'; end $$;
    create trigger refuse before insert on shop.orders execute function refuse()`,
    [],
    'shop',
  );
  const takeAgain = async (): Promise<void> => {
    await pair.source.query('drop function if exists refuse cascade', [], 'shop');
  };
  onTestFinished(takeAgain);
  await expect.poll(async () => (await load.snapshot()).failed, { timeout: 60_000 }).toBeGreaterThan(3);
  await takeAgain();
  const last = await load.stop();
  expect(last.errors).toEqual({ '25006': last.failed });
  expect(await verdictOf(load)).toMatchObject({ ok: true, requests: { failed: last.failed, unknown: 0 } });
});

test('a connection that is cut leaves an unknown outcome, never a hidden retry, and the load goes on', async () => {
  const load = await startLoad();
  await sent(load, 100);
  await bouncer.stop('SIGKILL');
  await bouncer.restart();
  const { sent: then, acknowledged } = await load.snapshot();
  await expect
    .poll(async () => (await load.snapshot()).acknowledged, { timeout: 60_000 })
    .toBeGreaterThan(acknowledged + 50);
  const last = await load.stop();
  expect(last.sent).toBeGreaterThan(then);
  expect(last.sent).toBe(last.acknowledged + last.failed + last.unknown);
  expect(last.unknown + last.failed).toBeGreaterThan(0);
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [], doubled: [], unexpected: [] });
});

test('the load dies with the process that started it, and its record says that it is not whole', async () => {
  const load = await startLoad();
  await sent(load, 100);
  await load.kill();
  const record = await load.record();
  expect(record.complete).toBe(false);
  expect(record.requests.length).toBeGreaterThan(0);
  expect((await verdictOf(load)).doubts).toContain('the record ends before the load did');
});

test('the checker finds what is missing, doubled, misplaced and out of balance in a real database', async () => {
  const load = await startLoad({ mix: { transfer: 1, order: 1, visit: 1, read: 0 } });
  await sent(load, 100);
  await load.stop();
  const record = await load.record();
  const [transfer, order, visit] = ['transfer', 'order', 'visit'].map(
    (kind) => record.requests.find((request) => request.kind === kind)?.id ?? '',
  );
  const alter = (sql: string): Promise<unknown> => pair.source.query(sql, [], 'shop');
  await alter(`delete from shop.ledger_entry where request_id = '${transfer}' and amount > 0`);
  await alter(`delete from shop.order_lines using shop.orders o where o.id = order_id and o.request_id = '${order}'`);
  await alter(`insert into shop.event (at, request_id, customer_id, kind, server, details)
               select at, request_id, customer_id, kind, server, details from shop.event where request_id = '${visit}'`);
  const verdict = await check({ record, primary: pair.source.url('shop'), switches: [] });
  expect(verdict).toMatchObject({ ok: false, doubled: [visit], ledger: { accountsOff: 1 } });
  expect([...verdict.lost].sort()).toEqual([transfer, order].sort());
});
