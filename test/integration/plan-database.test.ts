import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { planDatabase } from '../../activities/plan/database.js';
import { STAGES } from '../../spec/units.js';
import { catalogOf } from '../support/catalog.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let name = '';
let databases = 0;

beforeAll(async () => {
  pair = await startPair({ autovacuum: 'off' });
});
afterAll(() => pair.destroy());

beforeEach(async () => {
  databases += 1;
  name = `shop_${databases}`;
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(
    `create table customer (id bigint primary key, name text);
     create table orders (id bigint primary key, customer bigint references customer);
     insert into customer select i, repeat('x', 100) from generate_series(1, 10000) i; analyze`,
    [],
    name,
  );
});

test('a plan says what it was made from, and leaves nothing behind', async () => {
  const catalogs = () => Promise.all([pair.source, pair.target].map((server) => catalogOf(server, name)));
  const before = await catalogs();
  const { facts, findings } = await planDatabase(moveOf(pair, name));
  expect(await catalogs()).toEqual(before);
  expect(facts).toMatchObject({
    unit: `database/${name}`,
    source: { database: name, serverVersion: expect.stringMatching(/^\d+/) as string },
    target: { database: name },
    tables: 2,
    rowsEstimate: 10_000,
    schemaSignature: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
  expect(facts.bytes).toBeGreaterThan(1_000_000);
  expect(facts.source.systemIdentifier).not.toBe(facts.target.systemIdentifier);
  expect(findings.map(({ id }) => id)).toContain('network-path');
});

test('every step names what it touches and its undo; only finalize has none', async () => {
  const move = moveOf(pair, name);
  const { steps } = await planDatabase(move);
  expect(steps.map(({ stage }) => stage)).toEqual([...Array<string>(7).fill('prepare'), 'switch', 'watch', 'finalize']);
  expect(new Set(steps.map(({ stage }) => stage))).toEqual(new Set(STAGES));
  for (const step of steps) {
    expect(step.touches, step.title).not.toEqual([]);
    expect(step.undo === null, step.title).toBe(step.stage === 'finalize');
    expect(step.estimate.basis, step.title).not.toBe('');
  }
  const touched = steps.flatMap(({ touches }) => touches).join('\n');
  for (const object of ['publication', 'replication slot', 'subscription', 'fence', 'marker', 'breach']) {
    expect(touched).toContain(object);
  }
  expect(touched).toContain(`godwit_${move.key}_forward`);
  expect(touched).toContain(`godwit_${move.key}_reverse`);
  expect(touched).toContain(`ddl_fence_${move.key}`);
});

test('the copy is estimated from the size, or from the rate limit where that is slower', async () => {
  const { copy } = moveOf(pair, name).database;
  const copyOf = async (rateLimit: number | null) => {
    const { steps } = await planDatabase(moveOf(pair, name, { copy: { ...copy, rateLimit } }));
    return steps.find(({ title }) => title.startsWith('Copy the rows'))?.estimate;
  };
  expect(await copyOf(null)).toMatchObject({ seconds: 1, basis: expect.stringContaining('80 MB/s') as string });
  const limited = await copyOf(10_000);
  expect(limited?.seconds).toBeGreaterThan(100);
  expect(limited?.basis).toContain('copy.rateLimit of 10 kB/s');
});

test('endpoints are named with where they will lead', async () => {
  const endpoint = {
    kind: 'pgbouncer' as const,
    name: 'pooler',
    admin: { env: 'TEST_PLAN_UNSET' },
    database: 'orders',
    configFile: '/etc/pgbouncer/pgbouncer.ini',
    hosts: { source: null, target: null },
  };
  const { steps } = await planDatabase(moveOf(pair, name, { endpoints: [endpoint] }));
  const touches = steps.find(({ stage }) => stage === 'switch')?.touches;
  expect(touches).toContain(
    `endpoint pooler: entry orders of /etc/pgbouncer/pgbouncer.ini, to 127.0.0.1:${pair.target.port}`,
  );
});

test('the signature changes with columns, types and constraints, and not with rows', async () => {
  const move = moveOf(pair, name);
  const signature = async () => (await planDatabase(move)).facts.schemaSignature;
  const signatures = [await signature()];
  await pair.source.query(`insert into orders values (1, 1)`, [], name);
  expect(await signature()).toBe(signatures[0]);
  for (const change of [
    'alter table orders add column note text',
    'alter table orders alter column note type varchar(10)',
    'alter table orders alter column note set not null',
    'alter table orders add check (id > 0)',
    'alter table orders drop constraint orders_customer_fkey',
  ]) {
    await pair.source.query(
      change === 'alter table orders alter column note set not null' ? 'delete from orders' : 'select 1',
      [],
      name,
    );
    await pair.source.query(change, [], name);
    signatures.push(await signature());
  }
  expect(new Set(signatures).size).toBe(signatures.length);
});

test('without a database there are no facts, so there is no plan', async () => {
  process.env['TEST_PLAN_NOWHERE'] = 'postgres://postgres:secret@127.0.0.1:1/shop';
  const move = moveOf(pair, name, { target: { env: 'TEST_PLAN_NOWHERE' } });
  await expect(planDatabase(move)).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
});
