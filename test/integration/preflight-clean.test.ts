import { afterAll, beforeAll, expect, test } from 'vitest';
import { preflightDatabase, runCheck } from '../../activities/preflight/preflight.js';
import { defineCheck } from '../../activities/preflight/check.js';
import { connect, disconnect } from '../../activities/preflight/connections.js';
import type { DatabaseMove } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { fresh } from '../support/fresh-name.js';
import { catalogOf } from '../support/catalog.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
beforeAll(async () => {
  // Autovacuum takes transaction ids of its own, and the tests count them.
  pair = await startPair({ autovacuum: 'off' });
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query('create table customer (id bigint primary key, name text not null)', [], 'shop');
  await pair.source.query(
    'create table orders (id bigint generated always as identity primary key, customer bigint references customer)',
    [],
    'shop',
  );
});
afterAll(() => pair.destroy());

/** A transaction that wrote anything has taken an id, also one that was rolled back. */
async function nextTransaction(server: PostgresServer): Promise<number> {
  const rows = await server.query<{ next: number }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text::int as next',
  );
  return rows[0]?.next ?? 0;
}

const errorsOf = async (move: DatabaseMove): Promise<string[]> =>
  (await preflightDatabase(move)).filter((finding) => finding.severity === 'error').map((finding) => finding.id);

test('two servers that are ready have nothing to mend but the missing endpoint', async () => {
  const findings = await preflightDatabase(moveOf(pair, 'shop'));
  expect(findings.filter(({ severity }) => severity !== 'info').map(({ id }) => id)).toEqual(['no-endpoint']);
  expect(findings.filter(({ severity }) => severity === 'info').map(({ id }) => id)).toEqual([
    'disk-space',
    'network-path',
    'password-in-catalog',
    'password-in-catalog',
  ]);
  for (const finding of findings) expect(finding.unit).toBe('database/shop');
});

test('preflight leaves nothing on either side: it tries the way between the servers once each, and rolls that back', async () => {
  const look = async () => Promise.all([pair.source, pair.target].map((server) => catalogOf(server, 'shop')));
  const before = await look();
  const transactions = await Promise.all([nextTransaction(pair.source), nextTransaction(pair.target)]);
  await preflightDatabase(moveOf(pair, 'shop'));
  expect(await Promise.all([nextTransaction(pair.source), nextTransaction(pair.target)])).toEqual(
    transactions.map((next) => next + 1),
  );
  expect(await look()).toEqual(before);
});

test('a check that tries to write is refused by the server, and becomes a finding', async () => {
  const move = moveOf(pair, 'shop');
  const writing = defineCheck<'never'>({
    topic: 'Test',
    on: 'target',
    rules: { never: { severity: 'error', title: 'Never', why: '', mend: '' } },
    find: async (target) => {
      await target.run('create table public.written (id int)');
      return [];
    },
  });
  const connections = await connect(move);
  try {
    const findings = await runCheck(writing, { move, tables: [], claimed: false }, connections);
    expect(findings).toMatchObject([{ id: 'check-failed', severity: 'warning', side: 'target' }]);
    expect(findings[0]?.evidence).toMatch(/read-only transaction/);
  } finally {
    await disconnect(connections);
  }
});

test('a server that is down is a finding, and the other side is examined all the same', async () => {
  const move = moveOf(pair, 'shop', { target: { env: 'TEST_NOWHERE' } });
  process.env['TEST_NOWHERE'] = 'postgres://postgres:secret@127.0.0.1:1/shop';
  await pair.source.query('create table nameless (a int)', [], 'shop');
  try {
    const findings = await preflightDatabase(move);
    const unreachable = findings.find(({ id }) => id === 'database-unreachable');
    expect(unreachable).toMatchObject({ severity: 'error', side: 'target' });
    expect(unreachable?.evidence).toMatch(/127\.0\.0\.1:1.*ECONNREFUSED/);
    expect(findings.map(({ id }) => id)).toContain('no-replica-identity');
  } finally {
    await pair.source.query('drop table nameless', [], 'shop');
  }
});

test('a wrong password is a finding that shows no password', async () => {
  process.env['TEST_WRONG'] = pair.source.url('shop', 'postgres', 'not-the-password');
  const finding = await find(moveOf(pair, 'shop', { source: { env: 'TEST_WRONG' } }), 'authentication-failed');
  expect(finding).toMatchObject({ severity: 'error', side: 'source' });
  expect(JSON.stringify(finding)).not.toContain('not-the-password');
});

test('a missing variable, an unreadable file, a missing database and a text that is no URL are findings', async () => {
  process.env['TEST_ABSENT_DATABASE'] = pair.source.url('absent');
  process.env['TEST_NO_URL'] = 'postgres://[';
  const move = moveOf(pair, 'shop');
  expect(
    await find({ ...move, database: { ...move.database, source: { env: 'TEST_UNSET' } } }, 'secret-unavailable'),
  ).toMatchObject({
    side: 'source',
    evidence: expect.stringContaining('TEST_UNSET') as string,
  });
  const file = { file: '/nonexistent/url' };
  expect(await find({ ...move, database: { ...move.database, target: file } }, 'secret-unavailable')).toMatchObject({
    side: 'target',
    evidence: expect.stringContaining('/nonexistent/url') as string,
  });
  const absent = { env: 'TEST_ABSENT_DATABASE' };
  expect(await find({ ...move, database: { ...move.database, source: absent } }, 'database-missing')).toMatchObject({
    evidence: expect.stringContaining('"absent" does not exist') as string,
  });
  const invalid = { env: 'TEST_NO_URL' };
  expect(await find({ ...move, database: { ...move.database, source: invalid } }, 'url-invalid')).toBeDefined();
});

test('a pattern that names an unknown table is a finding that lists the known ones', async () => {
  const finding = await find(
    moveOf(pair, 'shop', { tables: { include: ['public.order'], exclude: [] } }),
    'table-unknown',
  );
  expect(finding?.evidence).toMatch(/public\.order.*public\.customer, public\.orders/);
});

test('source and target being one database is an error, two databases of one server are not', async () => {
  const other = fresh('other');
  await pair.source.createDatabase(other);
  process.env['TEST_SAME'] = pair.source.url('shop');
  expect(await errorsOf(moveOf(pair, 'shop', { target: { env: 'TEST_SAME' } }))).toContain('same-database');
  process.env['TEST_OTHER'] = pair.source.url(other);
  const move = moveOf(pair, 'shop', { target: { env: 'TEST_OTHER' } });
  expect(await errorsOf(move)).toEqual([]);
  expect(await find(move, 'same-server')).toMatchObject({ severity: 'info' });
});

test('a URL with a loopback address is a warning when the other server is elsewhere', async () => {
  expect(await find(moveOf(pair, 'shop'), 'loopback-url')).toBeUndefined();
  // Not a loopback address by its looks, though the kernel takes it for one.
  process.env['TEST_ELSEWHERE'] = pair.target.url('shop').replace('127.0.0.1', '0.0.0.0');
  expect(await find(moveOf(pair, 'shop', { target: { env: 'TEST_ELSEWHERE' } }), 'loopback-url')).toMatchObject({
    side: 'source',
    evidence: 'source.url names 127.0.0.1, and the other side is at 0.0.0.0',
  });
});
