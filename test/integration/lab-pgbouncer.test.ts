import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let folder: string;
let bouncer: PgBouncer;

beforeAll(async () => {
  pair = await startPair();
  await Promise.all([pair.source.createDatabase('app'), pair.target.createDatabase('app')]);
  folder = await mkdtemp(join(tmpdir(), 'godwit-pgbouncer-'));
  await chmod(folder, 0o755);
  bouncer = await PgBouncer.start({
    folder: join(folder, 'bouncer'),
    databases: { app: { host: '127.0.0.1', port: pair.source.port, dbname: 'app' } },
  });
});

afterAll(async () => {
  await bouncer?.destroy();
  await pair?.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function portSeen(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ port: number }>('select inet_server_port() as port');
    return rows[0]?.port ?? -1;
  } finally {
    await client.end();
  }
}

test('clients reach the database that the entry names, pooled by transaction', async () => {
  expect(await portSeen(bouncer.url('app'))).toBe(pair.source.port);
  const [app] = await bouncer
    .command<{ name: string; pool_mode: string | null }>('show databases')
    .then((rows) => rows.filter((row) => row.name === 'app'));
  expect(app).toBeDefined();
  const config = await bouncer.command<{ key: string; value: string }>('show config');
  const values = new Map(config.map((row) => [row.key, row.value]));
  expect(values.get('pool_mode')).toBe('transaction');
  expect(values.get('so_reuseport')).toBe('0');
  expect(Number(values.get('query_wait_timeout'))).toBeGreaterThanOrEqual(30);
});

test('an entry that is rewritten in its file holds after RELOAD, and after a restart', async () => {
  const text = await readFile(bouncer.configFile, 'utf8');
  await writeFile(bouncer.configFile, text.replace(`port=${pair.source.port}`, `port=${pair.target.port}`));
  await bouncer.command('reload');
  expect(await portSeen(bouncer.url('app'))).toBe(pair.target.port);
  await bouncer.restart();
  expect(await portSeen(bouncer.url('app'))).toBe(pair.target.port);
});

test('a wrong password is refused', async () => {
  await expect(portSeen(bouncer.url('app', 'postgres', 'wrong'))).rejects.toThrow();
});

test('it can pool by session, for the test of the preflight finding', async () => {
  const session = await PgBouncer.start({
    folder: join(folder, 'session'),
    databases: { app: { host: '127.0.0.1', port: pair.source.port, dbname: 'app' } },
    poolMode: 'session',
  });
  const config = await session.command<{ key: string; value: string }>('show config');
  expect(config.find((row) => row.key === 'pool_mode')?.value).toBe('session');
  await session.destroy();
});
