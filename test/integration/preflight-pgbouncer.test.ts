import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { preflightDatabase } from '../../activities/preflight/preflight.js';
import { PgBouncer, type PgBouncerOptions } from '../../lab/pgbouncer.js';
import type { NormalDatabase, NormalPgBouncer } from '../../spec/normal.js';
import { connect } from '../support/clients.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let bouncer: PgBouncer;

beforeAll(async () => {
  pair = await startPair();
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query('create table customer (id bigint primary key, name text)', [], 'shop');
});
afterEach(async () => {
  await bouncer?.destroy();
});
afterAll(() => pair.destroy());

async function start(change: Partial<PgBouncerOptions> = {}): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-bouncer-'));
  await chmod(folder, 0o755);
  const { port } = pair.source;
  const databases = { orders: { host: '127.0.0.1', port, dbname: 'shop' } };
  bouncer = await PgBouncer.start({ folder, databases, ...change });
}

function endpoint(change: Partial<NormalPgBouncer> = {}): NormalPgBouncer {
  process.env['TEST_BOUNCER'] = bouncer.adminUrl;
  return {
    kind: 'pgbouncer',
    name: 'pooler',
    admin: { env: 'TEST_BOUNCER' },
    database: 'orders',
    configFile: bouncer.configFile,
    hosts: { source: null, target: null },
    ...change,
  };
}

function move(change: Partial<NormalPgBouncer> = {}, database: Partial<NormalDatabase> = {}): DatabaseMove {
  return moveOf(pair, 'shop', { endpoints: [endpoint(change)], ...database });
}

/** Edits the configuration file as a person would, and reloads. */
async function edit(from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(bouncer.configFile, 'utf8');
  expect(text).toMatch(from);
  await writeFile(bouncer.configFile, text.replace(from, to));
  await bouncer.command('RELOAD');
}

test('a PgBouncer that is ready has nothing to mend', async () => {
  await start();
  const findings = await preflightDatabase(move());
  expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
});

test('a PgBouncer that is down, a wrong password and a missing variable are findings', async () => {
  await start();
  process.env['TEST_BOUNCER_WRONG'] = bouncer.url('pgbouncer', PgBouncer.admin, 'not-the-password');
  const wrong = await find(move({ admin: { env: 'TEST_BOUNCER_WRONG' } }), 'authentication-failed');
  expect(wrong).toMatchObject({ severity: 'error', side: 'endpoint' });
  expect(JSON.stringify(wrong)).not.toContain('not-the-password');
  expect(await find(move({ admin: { env: 'TEST_BOUNCER_UNSET' } }), 'secret-unavailable')).toMatchObject({
    side: 'endpoint',
    evidence: expect.stringContaining('TEST_BOUNCER_UNSET') as string,
  });
  const down = move();
  await bouncer.stop();
  expect(await find(down, 'endpoint-unreachable')).toMatchObject({ severity: 'error', side: 'endpoint' });
});

test('an unknown entry is an error that names the known ones', async () => {
  await start();
  expect(await find(move({ database: 'order' }), 'pgbouncer-database-unknown')).toMatchObject({
    severity: 'error',
    evidence: 'pooler has no entry order; its entries are orders',
  });
});

test('session mode is an error, by the default or by the entry, and the setting mends it', async () => {
  await start({ poolMode: 'session' });
  const finding = await find(move(), 'pgbouncer-session-mode');
  expect(finding).toMatchObject({
    severity: 'error',
    evidence:
      'pool_mode of orders in pooler is session, by the default of [pgbouncer]; expected transaction or statement',
    repair: ['In [databases], in the entry orders: pool_mode=transaction', 'RELOAD'],
  });
  await edit('dbname=shop', 'dbname=shop pool_mode=transaction');
  expect(await find(move(), 'pgbouncer-session-mode')).toBeUndefined();
  await edit('pool_mode=transaction', 'pool_mode=statement');
  expect(await find(move(), 'pgbouncer-session-mode')).toBeUndefined();
});

test('a user that is pooled by session is a warning', async () => {
  await start();
  await edit('[pgbouncer]', '[users]\nreporter = pool_mode=session\n\n[pgbouncer]');
  expect(await find(move(), 'pgbouncer-user-session-mode')).toMatchObject({
    severity: 'warning',
    evidence: 'pool_mode of reporter in pooler is session',
  });
});

test('an entry that leads elsewhere is an error, on the console and in the file', async () => {
  await start();
  expect(await find(move(), 'pgbouncer-elsewhere')).toBeUndefined();
  // Another name of the same address is the same place.
  await edit('host=127.0.0.1', 'host=localhost');
  expect(await find(move(), 'pgbouncer-elsewhere')).toBeUndefined();
  await edit(`port=${pair.source.port}`, `port=${pair.target.port}`);
  expect(await find(move(), 'pgbouncer-elsewhere')).toMatchObject({
    severity: 'error',
    evidence: `orders of pooler leads to localhost:${pair.target.port}/shop, the source is 127.0.0.1:${pair.source.port}/shop`,
  });
  expect(await find(move(), 'pgbouncer-file-elsewhere')).toMatchObject({ severity: 'error' });
  const known = { source: { host: 'localhost', port: pair.target.port }, target: null };
  expect(await find(move({ hosts: known }), 'pgbouncer-elsewhere')).toBeUndefined();
});

test('another entry that leads to the source is an error until it is an endpoint, too', async () => {
  const place = { host: '127.0.0.1', port: pair.source.port, dbname: 'shop' };
  await start({ databases: { orders: place, legacy: place, elsewhere: { ...place, dbname: 'postgres' } } });
  expect(await find(move(), 'pgbouncer-alias')).toMatchObject({
    severity: 'error',
    evidence: `legacy of pooler: leads to 127.0.0.1:${pair.source.port}/shop, and no endpoint names it`,
  });
  const both = [endpoint(), endpoint({ name: 'other', database: 'legacy' })];
  expect(await find(move({}, { endpoints: both }), 'pgbouncer-alias')).toBeUndefined();
});

test('an entry * that leads to the source is a warning', async () => {
  const place = { host: '127.0.0.1', port: pair.source.port, dbname: 'shop' };
  await start({ databases: { orders: place } });
  expect(await find(move(), 'pgbouncer-wildcard')).toBeUndefined();
  await edit('[databases]', `[databases]\n* = host=127.0.0.1 port=${pair.source.port}`);
  expect(await find(move(), 'pgbouncer-wildcard')).toMatchObject({ severity: 'warning', side: 'endpoint' });
});

test('a query_wait_timeout within the pause is an error that the setting mends', async () => {
  await start({ settings: { query_wait_timeout: '5' } });
  const finding = await find(move(), 'pgbouncer-wait-timeout');
  expect(finding).toMatchObject({
    severity: 'error',
    evidence: 'query_wait_timeout is 5s, cutover.maxPause 5s',
    repair: ['In pgbouncer.ini: query_wait_timeout = 10', 'RELOAD'],
  });
  await edit('query_wait_timeout = 5', 'query_wait_timeout = 10');
  expect(await find(move(), 'pgbouncer-wait-timeout')).toBeUndefined();
  // 0 turns the time-out off.
  await edit('query_wait_timeout = 10', 'query_wait_timeout = 0');
  expect(await find(move(), 'pgbouncer-wait-timeout')).toBeUndefined();
});

test('so_reuseport is a warning', async () => {
  await start({ settings: { so_reuseport: '1' } });
  expect(await find(move(), 'pgbouncer-reuseport')).toMatchObject({
    severity: 'warning',
    evidence: `so_reuseport is 1 on 127.0.0.1:${bouncer.port}`,
  });
});

test('a user who may look but not pause is an error', async () => {
  await start({ users: { viewer: 'viewer-password' }, settings: { stats_users: 'viewer' } });
  process.env['TEST_BOUNCER_VIEWER'] = bouncer.url('pgbouncer', 'viewer', 'viewer-password');
  const finding = await find(move({ admin: { env: 'TEST_BOUNCER_VIEWER' } }), 'pgbouncer-not-admin');
  expect(finding).toMatchObject({
    severity: 'error',
    evidence: 'viewer is not in admin_users (pgbouncer)',
    repair: ['In pgbouncer.ini: admin_users = pgbouncer, viewer', 'RELOAD'],
  });
  await edit('admin_users = pgbouncer', 'admin_users = pgbouncer, viewer');
  expect(await find(move({ admin: { env: 'TEST_BOUNCER_VIEWER' } }), 'pgbouncer-not-admin')).toBeUndefined();
});

test('a paused entry is a warning until it is resumed', async () => {
  await start();
  await bouncer.command('PAUSE orders');
  const finding = await find(move(), 'pgbouncer-paused');
  expect(finding).toMatchObject({ severity: 'warning', repair: ['RESUME orders'] });
  await bouncer.command(finding?.repair[0] ?? '');
  expect(await find(move(), 'pgbouncer-paused')).toBeUndefined();
});

test('an auth_user that the target lacks is an error', async () => {
  await start({ settings: { auth_user: 'bouncer_auth', auth_query: 'select 1' } });
  onTestFinished(async () => {
    for (const server of [pair.source, pair.target]) await server.query('drop role if exists bouncer_auth');
  });
  await pair.source.query('create role bouncer_auth login');
  expect(await find(move(), 'pgbouncer-auth-user-missing')).toMatchObject({
    severity: 'error',
    evidence: 'auth_user is bouncer_auth, and the target has no such role',
  });
  await pair.target.query('create role bouncer_auth login');
  expect(await find(move(), 'pgbouncer-auth-user-missing')).toBeUndefined();
});

test('a configuration file that is missing, not ours to write or without the entry is an error', async () => {
  await start();
  const absent = { configFile: '/nonexistent/pgbouncer.ini' };
  expect(await find(move(absent), 'pgbouncer-file-unreadable')).toMatchObject({
    severity: 'error',
    evidence: '/nonexistent/pgbouncer.ini: ENOENT',
  });
  expect(await find(move(), 'pgbouncer-file-unwritable')).toBeUndefined();
  expect(await asNobody(() => find(move(), 'pgbouncer-file-unwritable'))).toMatchObject({
    severity: 'error',
    evidence: `${bouncer.configFile}: EACCES`,
  });
  const other = join(bouncer.options.folder, 'other.ini');
  await writeFile(other, '[databases]\nelse = host=127.0.0.1\n');
  expect(await find(move({ configFile: other }), 'pgbouncer-file-entry')).toMatchObject({
    severity: 'error',
    evidence: `${other} has no entry orders in [databases]`,
  });
});

test('clients that bypass the pooler are named, those behind it are not', async () => {
  await start();
  const pooled = await connect(bouncer.url('orders'), 'behind');
  await pooled.query('select 1');
  expect(await find(move(), 'pooler-bypassed')).toBeUndefined();
  const direct = await connect(pair.source.url('shop'), 'around');
  expect(await find(move(), 'pooler-bypassed')).toMatchObject({
    severity: 'warning',
    side: 'source',
    evidence: 'around (user postgres) from 127.0.0.1',
  });
  await direct.end();
  await expect.poll(() => find(move(), 'pooler-bypassed')).toBeUndefined();
});

/** Root may write everything, so the check runs as somebody else when the tests run as root. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) await chmod(bouncer.configFile, 0o444);
  else process.seteuid?.(65534);
  try {
    return await work();
  } finally {
    if (process.getuid?.() === 0) process.seteuid?.(0);
  }
}
