/** The way from server to server: its address, its password, its TLS. And databases whose names a URL has to encode. */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { Session } from '../../activities/postgres/session.js';
import { planDatabase } from '../../activities/plan/database.js';
import { unprivilegedUser } from '../../lab/user.js';
import type { PostgresServer } from '../../lab/postgres.js';
import type { ReplicationPath } from '../../spec/normal.js';
import { fresh } from '../support/fresh-name.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { inputOf } from '../support/switching.js';
import { digestOf, prepareReplication } from '../support/sync.js';

const run = promisify(execFile);

let folder: string;
let pair: ServerPair;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-tls-'));
  await chmod(folder, 0o755);
  const { certificate, key } = await certificates();
  pair = await startPair({
    wal_retrieve_retry_interval: '200ms',
    ssl: 'on',
    ssl_cert_file: `'${certificate}'`,
    ssl_key_file: `'${key}'`,
  });
});
afterAll(async () => {
  await pair.destroy();
  await rm(folder, { recursive: true, force: true });
});

const authority = (): string => join(folder, 'authority.pem');

/** One certificate for 127.0.0.1, signed by an authority of the test's own. */
async function certificates(): Promise<{ certificate: string; key: string }> {
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args);
  const making = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  await openssl(
    'req',
    '-x509',
    ...making,
    '-subj',
    '/CN=test authority',
    '-keyout',
    path('authority.key'),
    '-out',
    authority(),
  );
  await openssl('req', ...making, '-subj', '/CN=127.0.0.1', '-keyout', path('server.key'), '-out', path('server.csr'));
  await writeFile(path('names'), 'subjectAltName=IP:127.0.0.1\n');
  const signing = ['-CA', authority(), '-CAkey', path('authority.key'), '-CAcreateserial', '-days', '2'];
  await openssl(
    'x509',
    '-req',
    '-in',
    path('server.csr'),
    ...signing,
    '-extfile',
    path('names'),
    '-out',
    path('server.pem'),
  );
  await belongsToServers(path('server.key'));
  return { certificate: path('server.pem'), key: path('server.key') };
}

/** Readable by the servers, and by nobody else. */
async function belongsToServers(path: string): Promise<void> {
  const user = await unprivilegedUser();
  await chmod(path, 0o600);
  if (user) await chown(path, user.uid, user.gid);
}

let references = 0;

/** Another URL than that of the worker, as a reference to a secret. */
function reference(url: string): { env: string } {
  references += 1;
  const env = `TEST_BETWEEN_${references}`;
  process.env[env] = url;
  return { env };
}

const connectionOf = async (server: PostgresServer, move: DatabaseMove, from: 'source' | 'target'): Promise<string> => {
  const [row] = await server.query<{ info: string }>(
    'select subconninfo as info from pg_subscription where subname = $1',
    [scopeNames(move.key).slot(from)],
  );
  return row?.info ?? '';
};

/** A shop that replicates already. */
async function replicating(
  name: string,
  replication: Record<'source' | 'target', ReplicationPath>,
): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query('create table item (id int primary key, name text)', [], name);
  await pair.source.query(`insert into item select i, 'item ' || i from generate_series(1, 500) i`, [], name);
  const move = moveOf(pair, name, { replication });
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  return move;
}

async function thereAndBack(move: DatabaseMove): Promise<void> {
  const { name } = move.database;
  expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
  await pair.target.query(`insert into item values (1000, 'there')`, [], name);
  await catchUpBack(move);
  await undoSwitch(move);
  await pair.source.query(`insert into item values (1001, 'here')`, [], name);
  await catchUp(move);
  expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
}

/** The row that was written on the target is on the source. */
async function catchUpBack(move: DatabaseMove): Promise<void> {
  await expect
    .poll(() => pair.source.query('select from item where id = 1000', [], move.database.name), { timeout: 60_000 })
    .toHaveLength(1);
}

describe('a password file', () => {
  test('keeps the password out of the catalogs of both servers', async () => {
    const passfile = join(folder, 'pgpass');
    await writeFile(passfile, '*:*:*:postgres:lab-postgres\n');
    await belongsToServers(passfile);
    const path = { url: null, passfile };
    const move = await replicating(fresh('by_file'), { source: path, target: path });
    expect(await find(move, 'password-in-catalog')).toBeUndefined();
    expect(await find(move, 'passfile-refused')).toBeUndefined();
    const forward = await connectionOf(pair.target, move, 'source');
    expect(forward).toContain(`passfile='${passfile}'`);
    expect(forward).not.toContain('password=');
    await thereAndBack(move);
    expect(await connectionOf(pair.target, move, 'source')).not.toContain('password=');
  });

  test('is refused beforehand where the role is no superuser, and a password asked for', async () => {
    const name = fresh('plain_file');
    const plain = fresh('plain');
    for (const server of [pair.source, pair.target]) {
      await server.createDatabase(name);
      await server.query(`create role ${plain} login password 'plain'`);
    }
    const path = { url: null, passfile: join(folder, 'pgpass') };
    const move = moveOf(pair, name, {
      source: reference(pair.source.url(name, plain, 'plain')),
      target: reference(pair.target.url(name, plain, 'plain')),
      replication: { source: path, target: { url: null, passfile: null } },
    });
    expect(await find(move, 'passfile-refused')).toMatchObject({ severity: 'error', side: 'target' });
    expect(await find(move, 'password-in-catalog', 'source')).toMatchObject({ severity: 'info', repair: [] });
    move.database.replication = {
      source: { url: reference(`postgres://${plain}@127.0.0.1:${pair.source.port}/${name}`), passfile: null },
      target: path,
    };
    expect(await find(move, 'password-needed')).toMatchObject({ severity: 'error', side: 'target' });
  });
});

describe('an address of its own', () => {
  test('is what the other server connects to, with its own user, and its own verified TLS', async () => {
    const name = fresh('by_address');
    const follower = fresh('follower');
    const login = async (server: PostgresServer): Promise<void> => {
      await server.query(`create role ${follower} login replication password 'it''s \\ "follower"'`);
    };
    await login(pair.source);
    await login(pair.target);
    // Paths are the server's, so the worker need not have such a file; here both have.
    const query = `sslmode=verify-full&sslrootcert=${encodeURIComponent(authority())}`;
    const password = encodeURIComponent(`it's \\ "follower"`);
    const url = (server: PostgresServer): string => `${server.url(name, follower, password)}?${query}`;
    const move = await replicating(name, {
      source: { url: reference(url(pair.source)), passfile: null },
      target: { url: reference(url(pair.target)), passfile: null },
    });
    const info = await connectionOf(pair.target, move, 'source');
    expect(info).toContain(`sslmode='verify-full' sslrootcert='${authority()}'`);
    const followers = (server: PostgresServer): Promise<unknown[]> =>
      server.query(
        `select from pg_stat_replication r join pg_stat_ssl s using (pid)
         where r.usename = $2 and s.ssl and r.application_name = any ($1::text[])`,
        [[scopeNames(move.key).slot('source'), scopeNames(move.key).slot('target')], follower],
      );
    expect(await followers(pair.source)).toHaveLength(1);
    await thereAndBack(move);
  });

  test('whose certificate is of somebody else stops it before the rows are switched', async () => {
    const name = fresh('by_wrong_name');
    const wrong = `${pair.source.url(name).replace('127.0.0.1', 'localhost')}?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority())}`;
    const refusal = replicating(name, {
      source: { url: reference(wrong), passfile: null },
      target: { url: null, passfile: null },
    });
    await expect(refusal).rejects.toThrow(/server certificate .* does not match host name "localhost"/);
  });

  test('is named by preflight', async () => {
    const name = fresh('elsewhere');
    await pair.source.createDatabase(name);
    await pair.target.createDatabase(name);
    const move = moveOf(pair, name, {
      replication: {
        source: { url: reference(`postgres://u:p@source.peered:6000/${name}`), passfile: null },
        target: { url: null, passfile: null },
      },
    });
    expect(await find(move, 'network-path')).toMatchObject({
      evidence: `the target has to reach source.peered:6000, and the source 127.0.0.1:${pair.target.port}`,
    });
  });
});

describe('a way that is closed', () => {
  const direct = { url: null, passfile: null };
  const nowhere = (name: string): string => `postgres://postgres:lab-postgres@127.0.0.1:1/${name}`;

  /** Tables on both sides, nothing prepared. */
  async function shop(name: string, replication: Record<'source' | 'target', ReplicationPath>): Promise<DatabaseMove> {
    for (const server of [pair.source, pair.target]) await server.createDatabase(name);
    await pair.source.query('create table item (id int primary key, name text)', [], name);
    return moveOf(pair, name, { replication });
  }

  const untouched = async (name: string): Promise<void> => {
    for (const server of [pair.source, pair.target]) {
      expect(await server.query(`select subname from pg_subscription where subname like '%try'`)).toEqual([]);
      expect(
        await server.query(
          'select * from pg_replication_origin where roname not in (select format($$pg_%s$$, oid) from pg_subscription)',
        ),
      ).toEqual([]);
      expect(await server.query('select slot_name from pg_replication_slots where database = $1', [name])).toEqual([]);
    }
  };

  test.each([
    [
      'an address where nobody is',
      'no_address',
      nowhere,
      'DatabaseUnreachable',
      /source at 127.0.0.1:1 as postgres: .*Connection refused.*source\.replication\.url/,
    ],
    [
      'a wrong password',
      'no_password',
      (name: string) => pair.source.url(name, 'postgres', 'not-this-one'),
      'AuthenticationFailed',
      /source at 127.0.0.1:\d+ as postgres: .*password authentication failed.*Correct user and password in source\.replication\.url/,
    ],
    [
      'a login that may not replicate',
      'no_right',
      (name: string) => pair.source.url(name, 'reader', 'reader'),
      'PermissionDenied',
      /source at 127.0.0.1:\d+ as reader: .*godwit plan --grants/,
    ],
  ] as const)(
    'by %s, ends the preparation with both ends and the repair, before a row is copied',
    async (_, wanted, url, type, message) => {
      const name = fresh(wanted);
      await pair.source.query(
        `do $$ begin create role reader login password 'reader'; exception when duplicate_object then end $$`,
      );
      const move = await shop(name, { source: { url: reference(url(name)), passfile: null }, target: direct });
      expect(await find(move, 'way-there-closed')).toMatchObject({
        severity: 'error',
        side: 'target',
        evidence: expect.stringContaining("the server of the target can't subscribe to the source") as string,
      });
      expect(await find(move, 'way-back-closed')).toBeUndefined();
      const error: unknown = await prepareReplication(move).catch((refusal: unknown) => refusal);
      expect(error).toMatchObject({ type, message: expect.stringMatching(message) as string });
      expect(JSON.stringify(error)).not.toContain('not-this-one');
      await untouched(name);
      move.database.replication = { source: direct, target: direct };
      expect(await find(move, 'way-there-closed')).toBeUndefined();
      await prepareReplication(move);
      await untouched(name);
    },
  );

  test('by a firewall that drops what comes, is told after ten seconds', async () => {
    const name = fresh('silent');
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = silent.address() as AddressInfo;
      const url = reference(`postgres://postgres:lab-postgres@127.0.0.1:${port}/${name}`);
      const move = await shop(name, { source: { url, passfile: null }, target: direct });
      await expect(prepareReplication(move)).rejects.toMatchObject({
        type: 'DatabaseUnreachable',
        message: expect.stringMatching(/source at 127.0.0.1:\d+ as postgres: no answer within 10 s/) as string,
      });
      await untouched(name);
    } finally {
      silent.close();
    }
  });

  test('on the way back is a warning, and holds every switch before anybody waits, with both ends and the repair', async () => {
    const name = fresh('no_way_back');
    const move = await replicating(name, {
      source: direct,
      target: { url: reference(nowhere(name)), passfile: null },
    });
    expect(await find(move, 'way-back-closed')).toMatchObject({ severity: 'warning', side: 'source' });
    await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({
      type: 'NoWayBack',
      message: expect.stringMatching(
        /the server of the source can't subscribe to the target at 127.0.0.1:1 as postgres: .*Nothing was switched\..*target\.replication\.url/,
      ) as string,
    });
    await pair.source.query(`insert into item values (2000, 'still here')`, [], name);
    move.database.replication = { source: direct, target: direct };
    expect(await find(move, 'way-back-closed')).toBeUndefined();
    await thereAndBack(move);
  });
});

describe('names of databases', () => {
  test.each(['a:b', 'a/b', 'a?b', 'a#b', 'a&b', 'a%b', 'a%2Fb', 'a b', 'a+b', 'ä@é', `it's "mine"`, 'a=b;c,d$e'])(
    '%s is reached, copied and replicated',
    async (wanted) => {
      const name = fresh(wanted);
      const direct = { url: null, passfile: null };
      const move = await replicating(name, { source: direct, target: direct });
      await using session = await Session.open('source', pair.source.url(name), { purpose: 'test' });
      expect(await session.row('select current_database() as name')).toEqual({ name });
      const { facts } = await planDatabase(move);
      expect([facts.source.database, facts.target.database]).toEqual([name, name]);
      expect(await digestOf(pair.target, name)).toEqual(await digestOf(pair.source, name));
    },
  );
});
