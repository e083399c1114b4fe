import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { LabProcess } from '../../lab/process.js';
import { PostgresServer } from '../../lab/postgres.js';
import { onPath } from '../../lab/setup/path.js';
import { SMALL_SIZE } from '../../lab/shop/create.js';
import { unprivilegedUser } from '../../lab/user.js';
import { loadMigration } from '../../spec/load.js';
import { SEARCH_ATTRIBUTES } from '../../spec/messages.js';

const Service = z.strictObject({
  image: z.string().optional(),
  build: z
    .union([z.string(), z.strictObject({ context: z.string(), dockerfile: z.string() })])
    .transform((build) => (typeof build === 'string' ? { context: build, dockerfile: 'Dockerfile' } : build))
    .optional(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).prefault({}),
  healthcheck: z.record(z.string(), z.unknown()).optional(),
  depends_on: z
    .record(z.string(), z.strictObject({ condition: z.enum(['service_healthy', 'service_started']) }))
    .prefault({}),
  volumes: z.array(z.string()).prefault([]),
  ports: z.array(z.string()).prefault([]),
  stop_signal: z.string().optional(),
  stop_grace_period: z.string().optional(),
  init: z.boolean().optional(),
});

const Compose = z.looseObject({
  name: z.string(),
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.null()),
});

const compose = Compose.parse(parse(await readFile('docker-compose.yml', 'utf8'), { merge: true }));
const services = Object.entries(compose.services);

describe('docker-compose.yml', () => {
  test('is valid by the word of docker compose, where that is installed', async ({ skip }) => {
    const installed = await execa('docker', ['compose', 'version'], { reject: false });
    if (installed.exitCode !== 0) skip('docker compose is not installed');
    await execa('docker', ['compose', 'config', '--quiet']);
  });

  test.each(services)(
    '%s has an image of a fixed version, or a Dockerfile that is there',
    (_name, { image, build }) => {
      expect([image, build].filter((one) => one !== undefined)).toHaveLength(1);
      if (image !== undefined) expect(image).toMatch(/:\d/);
      if (build) expect(existsSync(join(build.context, build.dockerfile))).toBe(true);
    },
  );

  test.each(services)(
    '%s waits only for services that exist, and for health only where it is checked',
    (_name, service) => {
      for (const [other, { condition }] of Object.entries(service.depends_on)) {
        expect(compose.services[other]).toBeDefined();
        if (condition === 'service_healthy') expect(compose.services[other]?.healthcheck).toBeDefined();
      }
    },
  );

  test.each(services)('%s mounts files that exist, and volumes that are declared', (_name, { volumes }) => {
    for (const [from] of volumes.map((volume) => volume.split(':'))) {
      if (from?.startsWith('.')) expect(existsSync(from)).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(from);
    }
  });

  test('publishes ports on the loopback address only, each once', () => {
    const ports = services.flatMap(([, service]) => service.ports);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports).size).toBe(ports.length);
  });

  test('gives Temporal the search attributes that Godwit needs', () => {
    for (const name of Object.values(SEARCH_ATTRIBUTES)) {
      expect(compose.services['temporal']?.command).toContain(`--search-attribute=${name}=Keyword`);
    }
  });

  test('every URL names a service, and the port that it listens on', () => {
    const ports: Record<string, string> = { source: '5432', target: '5432', pgbouncer: '6432' };
    const urls = services
      .flatMap(([, { environment }]) => Object.values(environment))
      .filter((text) => text.includes('://'));
    expect(urls).toHaveLength(4);
    for (const url of urls.map((text) => new URL(text))) expect(url.port).toBe(ports[url.hostname]);
  });

  test('its migration is valid, and the worker has what it refers to', async () => {
    const text = await readFile('lab/compose/shop.yaml', 'utf8');
    expect(loadMigration(text)).toMatchObject({ ok: true });
    const worker = compose.services['worker'];
    const variables = [...text.matchAll(/env: (\w+)/g)].map(([, name]) => name ?? '');
    expect(variables).toHaveLength(3);
    for (const name of variables) expect(worker?.environment[name]).toBeDefined();
    expect(worker?.volumes).toContain('pgbouncer:/etc/pgbouncer');
    expect(text).toContain('configFile: /etc/pgbouncer/pgbouncer.ini');
  });
});

describe('Dockerfiles', () => {
  test.each([
    ['Dockerfile', '.'],
    ['lab/compose/pgbouncer.Dockerfile', 'lab/compose'],
  ])('%s copies files that exist', async (file, context) => {
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => /^COPY (?!--from)/.test(line));
    const copied = lines.flatMap((line) => line.split(' ').slice(1, -1)).filter((word) => !word.startsWith('--'));
    expect(copied.length).toBeGreaterThan(0);
    for (const path of copied) expect(existsSync(join(context, path))).toBe(true);
  });
});

describe('what the containers start with', () => {
  let folder: string;
  let server: PostgresServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'godwit-compose-'));
    await chmod(folder, 0o755);
    server = await PostgresServer.start({ name: 'source', folder: join(folder, 'source') });
    await server.createDatabase('shop');
  });
  afterAll(async () => {
    await server?.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  test('the scripts of the source make the shop, owned by its role', async () => {
    const env = {
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGPASSWORD: PostgresServer.password,
      POSTGRES_USER: PostgresServer.user,
      POSTGRES_DB: 'shop',
      SHOP: 'lab/shop',
      SHOP_SIZE: Object.entries(SMALL_SIZE)
        .map(([name, count]) => `${name}=${count}`)
        .join(' '),
      PATH: `${server.binaries}:${process.env['PATH']}`,
    };
    await execa('lab/compose/role.sh', { env });
    await execa('lab/compose/fill.sh', { env });
    const [found] = await server.query<{ owner: string; orders: number }>(
      `select (select tableowner from pg_tables where schemaname = 'shop' and tablename = 'orders') as owner,
              (select count(*)::int from shop.orders) as orders`,
      [],
      'shop',
    );
    expect(found).toEqual({ owner: 'shop', orders: SMALL_SIZE.orders });
  });

  test("a real PgBouncer takes the containers' configuration, and clients reach the shop through it", async () => {
    const bouncer = await mkdtemp(join(folder, 'bouncer-'));
    const users = await readFile('lab/compose/users.txt', 'utf8');
    const ini = await readFile('lab/compose/pgbouncer.ini', 'utf8');
    const port = await getPort({ host: '127.0.0.1' });
    await chmod(bouncer, 0o755);
    await writeFile(join(bouncer, 'users.txt'), users);
    await writeFile(
      join(bouncer, 'pgbouncer.ini'),
      ini
        .replace('host=source port=5432', `host=127.0.0.1 port=${server.port}`)
        .replace('listen_addr = 0.0.0.0', 'listen_addr = 127.0.0.1')
        .replace('listen_port = 6432', `listen_port = ${port}`)
        .replace('/etc/pgbouncer/users.txt', join(bouncer, 'users.txt')),
    );
    const started = LabProcess.start({
      name: 'PgBouncer',
      command: onPath('pgbouncer') ?? 'pgbouncer',
      args: [join(bouncer, 'pgbouncer.ini')],
      log: join(bouncer, 'log'),
      user: await unprivilegedUser(),
    });
    const ask = async (url: string, sql: string): Promise<boolean> => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query(sql);
      await client.end();
      return rows.length > 0;
    };
    try {
      await started.ready(() => ask(`postgres://pgbouncer:lab-pgbouncer@127.0.0.1:${port}/pgbouncer`, 'show version'));
      expect(await ask(`postgres://shop:lab-shop@127.0.0.1:${port}/shop`, 'select shop.browse(1)')).toBe(true);
    } finally {
      await started.stop();
    }
  });
});
