/** Bad days of the machines around a migration: full disks, time-outs, no connection left, wrong clocks, bad certificates. */
import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { Session } from '../../activities/postgres/session.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import type { DatabaseMove } from '../../activities/contract.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { PostgresServer } from '../../lab/postgres.js';
import { unprivilegedUser } from '../../lab/user.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { SmallDisk } from '../support/small-disk.js';
import { accepts, inputOf, SHORT_LEASE } from '../support/switching.js';
import { prepareReplication, until } from '../support/sync.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

const execute = promisify(execFile);

let pair: ServerPair;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-bad-'));
  await chmod(folder, 0o755);
  pair = await startPair({
    wal_retrieve_retry_interval: '100ms',
    max_connections: '40',
    superuser_reserved_connections: '3',
  });
});
afterEach(() => injectFaults(null));
afterAll(async () => {
  await pair.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function databases(name: string, tables: string): Promise<void> {
  await pair.source.createDatabase(name);
  await pair.target.createDatabase(name);
  await pair.source.query(tables, [], name);
}

async function synced(name: string, change: Partial<NormalDatabase> = {}): Promise<DatabaseMove> {
  const move = moveOf(pair, name, change);
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  return move;
}

describe('a full disk on the target', () => {
  async function smallDisk(name: string): Promise<SmallDisk> {
    const disk = await SmallDisk.mount(pair.target, name, join(folder, name), '24m');
    await pair.target.query(`create database ${name} tablespace ${name}`);
    return disk;
  }

  const rows = (from: number, to: number): string =>
    `insert into item select n, repeat(md5(n::text), 30) from generate_series(${from}, ${to}) n`;

  test('while rows are copied is said, and the copy goes on where it was once there is space', async () => {
    const name = fresh('full_copy');
    const disk = await smallDisk(name);
    try {
      await pair.source.createDatabase(name);
      await pair.source.query(`create table item (id int primary key, text text); ${rows(1, 30_000)}`, [], name);
      const move = moveOf(pair, name, { copy: { parallelism: 1, rangeSize: 2 ** 20, rateLimit: null } });
      await prepareReplication(move);
      await expect(initialSync(move)).rejects.toMatchObject({
        type: 'DiskFull',
        nonRetryable: false,
        message: expect.stringContaining('No space left on device') as string,
      });
      expect(
        await pair.source.query(`select from pg_replication_slots where slot_name like $1`, [`%${move.key}%`]),
      ).toEqual([]);
      await disk.grow();
      const figures = await initialSync(move);
      expect(figures).toMatchObject({ rows: 30_000 });
      expect(figures.rangesKept).toBeGreaterThan(0);
      await catchUp(move);
      expect(await validate(move)).toMatchObject({ verdict: 'equal' });
      await undoInitialSync(move);
    } finally {
      await disk.remove(name);
    }
  });

  test('while changes are applied is a problem that names it, and goes by itself once there is space', async () => {
    const name = fresh('full_apply');
    const disk = await smallDisk(name);
    try {
      await pair.source.createDatabase(name);
      await pair.source.query('create table item (id int primary key, text text)', [], name);
      const move = await synced(name);
      await pair.source.query(rows(1, 30_000), [], name);
      await until(
        async () => /failed \d+ times/.test((await observe(move)).problems.join()),
        'the failing apply is told',
      );
      expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'not-now' });
      await disk.grow();
      await catchUp(move);
      expect((await observe(move)).problems).toEqual([]);
      expect(await validate(move)).toMatchObject({ verdict: 'equal', rows: 30_000 });
      await undoInitialSync(move);
    } finally {
      await disk.remove(name);
    }
  });
});

describe('time-outs', () => {
  test('of the role and of the database hurt neither the copy, nor the comparison, nor a switch there and back', async () => {
    const name = fresh('hasty');
    await databases(
      name,
      `create table item (id int primary key, text text);
      insert into item select n, repeat('x', 1000) from generate_series(1, 2000) n`,
    );
    for (const server of [pair.source, pair.target]) {
      await server.query(`create role ${name} superuser login password 'hasty'`);
      for (const timeout of [
        'statement_timeout',
        'lock_timeout',
        'idle_in_transaction_session_timeout',
        'idle_session_timeout',
      ]) {
        await server.query(`alter role ${name} set ${timeout} = '150ms'`);
        await server.query(`alter database ${name} set ${timeout} = '150ms'`);
        // But for what the test itself asks.
        await server.query(`alter role ${PostgresServer.user} in database ${name} set ${timeout} = 0`);
      }
    }
    const move = moveOf(pair, name, { copy: { parallelism: 1, rangeSize: 2 ** 18, rateLimit: 1_000_000 } });
    for (const side of ['source', 'target'] as const) {
      const url = move.database[side];
      if ('env' in url) process.env[url.env] = pair[side].url(name, name, 'hasty');
    }
    await prepareReplication(move);
    expect((await initialSync(move)).copyMs).toBeGreaterThan(150);
    await catchUp(move);
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await pair.target.query(`insert into item values (5000, 'new')`, [], name);
    expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
    expect(await pair.source.query('select from item where id = 5000', [], name)).toHaveLength(1);
  });
});

describe('no connection left', () => {
  test.each(['source', 'target'] as const)(
    'on the %s: the switch says so and does not begin; with one free again it goes',
    async (side) => {
      const name = fresh(`storm_${side}`);
      const move = await replicatedMove(
        pair,
        name,
        'create table account (id int primary key, balance int); insert into account values (1, 1)',
        SHORT_LEASE,
      );
      const storm = await Storm.on(pair[side]);
      try {
        const points: string[] = [];
        injectFaults((point) => void points.push(point));
        await expect(switchWrites(inputOf(move, 'forward'))).rejects.toMatchObject({
          type: 'DatabaseUnreachable',
          nonRetryable: false,
          message: expect.stringContaining('too many clients') as string,
        });
        expect(points).toEqual([]);
        const seen = await observe(move).catch((error: unknown) => ({ problems: [String(error)] }));
        expect(seen.problems.join()).toContain('too many clients');
      } finally {
        await storm.end();
      }
      expect(await accepts(pair.source, name)).toBe(true);
      expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    },
  );

  test.each(['switch', 'rehearse'] as const)(
    'from the pause on: a %s comes to its end, since its sessions are open already',
    async (mode) => {
      const name = fresh(`storm_late_${mode}`);
      const move = await replicatedMove(
        pair,
        name,
        'create table account (id int primary key, balance int); insert into account values (1, 1)',
        // The storms come up within the pause.
        { cutover: { ...SHORT_LEASE.cutover, maxPause: 30_000 } },
      );
      const storms: Storm[] = [];
      injectFaults(async (point) => {
        if (point !== 'switch.pause') return;
        for (const server of [pair.source, pair.target]) storms.push(await Storm.on(server));
      });
      try {
        const outcome = await switchWrites({ ...inputOf(move, 'forward'), mode });
        expect(outcome).toMatchObject({ kind: mode === 'switch' ? 'switched' : 'rehearsed' });
        expect(storms).toHaveLength(2);
      } finally {
        for (const storm of storms) await storm.end();
      }
      expect([await accepts(pair.source, name), await accepts(pair.target, name)]).toEqual([
        mode === 'rehearse',
        mode === 'switch',
      ]);
    },
  );
});

/** Takes every connection that a server has to give, those of superusers included. */
class Storm {
  readonly #clients: pg.Client[] = [];

  static async on(server: PostgresServer): Promise<Storm> {
    const storm = new Storm();
    for (;;) {
      const client = new pg.Client({ connectionString: server.url() });
      client.on('error', () => undefined);
      try {
        await client.connect();
        storm.#clients.push(client);
      } catch {
        return storm;
      }
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()));
  }
}

describe('clocks', () => {
  afterEach(() => vi.useRealTimers());

  /** All that Godwit's SQL asks a server for its time is this function. */
  const off = (server: PostgresServer, name: string, by: string): Promise<unknown> =>
    server.query(
      `set allow_system_table_mods = on;
       alter function pg_catalog.clock_timestamp() rename to right_time;
       create function pg_catalog.clock_timestamp() returns timestamptz volatile language sql as
         $$ select pg_catalog.right_time() + interval '${by}' $$`,
      [],
      name,
    );

  test.each([
    ['ahead', '5 min', '-5 min', -300_000],
    ['behind', '-5 min', '5 min', 300_000],
  ])(
    'of the source that is five minutes %s (%s), of the target (%s) and of the worker (%i ms) change nothing: one writer, nothing lost, there and back',
    async (word, source, target, worker) => {
      const name = fresh(`clocks_${word}`);
      const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
      await off(pair.source, name, source);
      await off(pair.target, name, target);
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + worker });
      const writers = Writers.start(pair, name);
      await writers.progress(20);
      expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
      await writers.progress(20);
      const seen = await observe(move);
      expect(seen).toMatchObject({ primary: 'target', problems: [] });
      expect(Math.abs(seen.lagMs ?? Infinity)).toBeLessThan(60_000);
      expect(await accepts(pair.source, name)).toBe(false);
      expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
      await writers.progress(20);
      expect(await accepts(pair.target, name)).toBe(false);
      expect(await writers.stop(pair.source)).toMatchObject({ lost: 0, balanced: true });
    },
  );
});

describe('TLS', () => {
  const authority = (name: string): string => join(folder, `${name}.crt`);

  /** A self-signed authority that is also the server's certificate for 127.0.0.1. */
  async function certificate(name: string, days: string): Promise<void> {
    await execute('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        join(folder, `${name}.key`),
        '-out',
        authority(name),
      ],
      ...['-days', days, '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ]);
  }

  async function serve(name: string): Promise<void> {
    const user = await unprivilegedUser();
    for (const kind of ['key', 'crt']) {
      const file = join(pair.source.data, `server.${kind}`);
      await copyFile(join(folder, `${name}.${kind}`), file);
      if (user) await chown(file, user.uid, user.gid);
      await chmod(file, 0o600);
    }
    await pair.source.query('alter system set ssl = on');
    await pair.source.query('select pg_reload_conf()');
    await until(async () => (await pair.source.query<{ ssl: string }>('show ssl'))[0]?.ssl === 'on', 'TLS is on');
  }

  const connecting = async (name: string): Promise<string> => {
    const url = `${pair.source.url()}?sslmode=verify-full&sslrootcert=${authority(name)}`;
    const session = await Session.open('source', url, { purpose: 'test' });
    const [row] = await session.rows<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    await session.close();
    return row?.ssl === true ? 'encrypted' : 'plain';
  };

  test('verify-full connects with the right authority, and says what is wrong with another one or an old certificate', async () => {
    await certificate('right', '10');
    await certificate('wrong', '10');
    await serve('right');
    expect(await connecting('right')).toBe('encrypted');
    await expect(connecting('wrong')).rejects.toMatchObject({
      type: 'DatabaseUnreachable',
      message: expect.stringMatching(
        /could not connect to the source at 127\.0\.0\.1:\d+: self-signed certificate/,
      ) as string,
    });
    await expired('old');
    await serve('old');
    await expect(connecting('old')).rejects.toMatchObject({
      type: 'DatabaseUnreachable',
      message: expect.stringContaining('certificate has expired') as string,
    });
  });

  afterAll(async () => {
    await pair.source.query('alter system reset ssl');
    await pair.source.query('select pg_reload_conf()');
  });

  async function expired(name: string): Promise<void> {
    await execute('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      join(folder, `${name}.key`),
      '-out',
      join(folder, `${name}.csr`),
      '-subj',
      '/CN=127.0.0.1',
    ]);
    await execute('openssl', [
      'x509',
      '-req',
      '-in',
      join(folder, `${name}.csr`),
      '-signkey',
      join(folder, `${name}.key`),
      '-out',
      authority(name),
      '-days',
      '-1',
    ]);
  }
});
