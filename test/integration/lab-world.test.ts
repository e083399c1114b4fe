import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { Resolver } from '../../lab/dns/resolver.js';
import { Lab, type LabStatus } from '../../lab/lab.js';
import { forkOf } from '../../lab/module-command.js';
import { SMALL_SIZE } from '../../lab/shop/create.js';
import { identityOf } from '../../lab/world/process-identity.js';
import { readState, writeState } from '../../lab/world/state.js';
import { loadMigration } from '../../spec/load.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
});

afterEach(async () => {
  await Lab.down(folder, { remove: true });
  await rm(folder, { recursive: true, force: true });
});

/** The whole run's Temporal serves most of these tests, as it would serve a user who has one. */
const sharedTemporal = (): NodeJS.ProcessEnv => ({ ...process.env, TEMPORAL_ADDRESS: inject('temporalAddress') });

const up = (): Promise<Lab> => Lab.up({ folder, size: SMALL_SIZE, env: sharedTemporal() });

function inAnotherProcess(mode: 'leave' | 'hold' | 'crash'): ChildProcess {
  const { file, execArgv } = forkOf(import.meta.url, '../support/lab-child');
  return fork(file, [folder, mode], { execArgv, env: sharedTemporal(), stdio: 'ignore' });
}

async function ask(url: string, expression: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: unknown }>(`select (${expression}) as value`);
    return rows[0]?.value;
  } finally {
    await client.end();
  }
}

const pidsOf = ({ components }: LabStatus): number[] => components.flatMap(({ pid }) => (pid === null ? [] : [pid]));
const statesOf = ({ components }: LabStatus): Record<string, string> =>
  Object.fromEntries(components.map(({ name, state }) => [name, state]));

test('up makes a shop, an empty target, and the files that a user needs', async () => {
  const lab = await up();
  const { environment, files } = lab;
  const status = await lab.status();
  expect(await ask(environment.SHOP_URL, '(select count(*) from shop.orders) > 0')).toBe(true);
  expect(await ask(environment.SHOP_URL, 'current_user')).toBe('shop');
  expect(await ask(environment.GODWIT_TARGET_URL, `to_regclass('shop.orders')`)).toBeNull();
  expect(await ask(environment.GODWIT_SOURCE_URL, `current_setting('wal_level')`)).toBe('logical');
  expect(environment.TEMPORAL_ADDRESS).toBe(inject('temporalAddress'));

  const { stdout } = await execa('sh', ['-c', `. ${files.environment}; echo $GODWIT_SOURCE_URL`]);
  expect(stdout).toBe(environment.GODWIT_SOURCE_URL);
  expect(loadMigration(await readFile(files.migration, 'utf8'))).toMatchObject({ ok: true });

  expect(status).toMatchObject({ state: 'up', environment, files });
  expect(statesOf(status)).toEqual({ source: 'running', target: 'running', pgbouncer: 'running' });
});

test('a lab may stand under load, which ends with it', async () => {
  const lab = await Lab.up({ folder, size: SMALL_SIZE, load: 50, env: sharedTemporal() });
  const muchAsked = (): Promise<unknown> =>
    ask(lab.environment.SHOP_URL, `(select count(*) from shop.event where server <> 'seed') > 20`);
  await expect.poll(muchAsked, { timeout: 60_000 }).toBe(true);
  expect(await lab.down()).toBe(4);
});

test('a lab that serves traffic has all that it goes through, and a migration of it; down ends that, too', async () => {
  const withTraffic = (): Promise<Lab> => Lab.up({ folder, size: SMALL_SIZE, traffic: true, env: sharedTemporal() });
  const lab = await withTraffic();
  expect(statesOf(await lab.status())).toMatchObject({ moto: 'running', aws: 'running', prometheus: 'running' });
  expect(await asUserOf(lab)).toBe('blue');
  const text = await readFile(lab.files.whole ?? '', 'utf8');
  const loaded = loadMigration(text);
  expect(loaded.ok && loaded.normal.traffic?.map(({ unit }) => unit)).toEqual(['traffic/web', 'traffic/names']);
  expect(await lab.down()).toBe(6);

  // It has what it had, without being asked for it again; what AWS holds is new.
  const again = await up();
  expect(await asUserOf(again)).toBe('blue');
  expect(await readFile(again.files.whole ?? '', 'utf8')).not.toBe(text);
});

/** Who answers somebody who looks the shop up by its name. */
async function asUserOf({ environment }: Lab): Promise<string | undefined> {
  const { SHOP_WEB_URL = '', SHOP_DNS = '' } = environment;
  const [address = '', port] = SHOP_DNS.split(':');
  const url = new URL(SHOP_WEB_URL);
  const [host] = await new Resolver({ root: { address, port: Number(port) } }).addresses(url.hostname);
  const response = await fetch(`http://${host}:${url.port}/browse`);
  return response.headers.get('x-version') ?? undefined;
}

test('a lab outlives the process that made it, and another one stops it to the last process', async () => {
  const maker = inAnotherProcess('leave');
  expect(await once(maker, 'exit')).toEqual([0, null]);

  const status = await Lab.status(folder);
  expect(status.state).toBe('up');
  const pids = pidsOf(status);
  expect(pids).toHaveLength(3);

  expect(await Lab.down(folder)).toBe(3);
  expect(pids.filter((pid) => identityOf(pid) !== null)).toEqual([]);
  expect(await Lab.status(folder)).toMatchObject({ state: 'down' });
  expect(await Lab.down(folder)).toBe(0);
});

test('what was down comes up again with the same addresses, rows, and primary', async () => {
  const first = await up();
  const { environment } = first;
  const config = join((await readState(folder))?.data ?? '', 'pgbouncer', 'pgbouncer.ini');
  const [source, target] = [environment.GODWIT_SOURCE_URL, environment.GODWIT_TARGET_URL].map(
    (url) => new URL(url).port,
  );
  await writeFile(config, (await readFile(config, 'utf8')).replace(`port=${source}`, `port=${target}`));
  const orders = await ask(environment.GODWIT_SOURCE_URL, '(select count(*) from shop.orders)');
  await first.down();

  const second = await up();
  expect(second.environment).toEqual(environment);
  expect(await ask(environment.GODWIT_SOURCE_URL, '(select count(*) from shop.orders)')).toBe(orders);
  expect(String(await ask(environment.SHOP_URL, 'inet_server_port()'))).toBe(target);
});

test('up starts only what has ended', async () => {
  await up();
  const before = await Lab.status(folder);
  const bouncer = before.components.find(({ name }) => name === 'pgbouncer');
  process.kill(bouncer?.pid ?? -1, 'SIGKILL');
  await expect.poll(async () => (await Lab.status(folder)).state, { timeout: 60_000 }).toBe('partly');
  expect(statesOf(await Lab.status(folder))).toMatchObject({ source: 'running', pgbouncer: 'stopped' });

  await up();
  const after = await Lab.status(folder);
  expect(after.state).toBe('up');
  expect(pidsOf(after).filter((pid) => pidsOf(before).includes(pid))).toHaveLength(2);
});

test.each([
  ['a Ctrl-C', 'hold'],
  ['an exception that nobody catches', 'crash'],
] as const)('a lab that is only for its process ends with %s', async (_what, mode) => {
  const maker = inAnotherProcess(mode);
  const ended = once(maker, 'exit');
  await once(maker, 'message');
  const pids = pidsOf(await Lab.status(folder));
  if (mode === 'hold') maker.kill('SIGINT');
  else maker.send('now');
  await ended;
  expect(pids.length).toBeGreaterThan(0);
  await expect.poll(() => pids.filter((pid) => identityOf(pid) !== null), { timeout: 60_000 }).toEqual([]);
});

test('down never touches a process that only has the number of one of ours', async () => {
  const bystander = spawn('sleep', ['60']);
  const pid = bystander.pid ?? -1;
  const source = { name: 'source', kind: 'postgres', process: { pid, startedAt: 'another time' }, port: 1 } as const;
  const components = [{ ...source, uiPort: null, log: '' }];
  writeState(folder, {
    version: 1,
    data: join(folder, 'data'),
    temporalAddress: null,
    filled: false,
    traffic: null,
    components,
  });
  expect(await Lab.down(folder)).toBe(0);
  expect(identityOf(pid)).not.toBeNull();
  bystander.kill();
});

test('a TEMPORAL_ADDRESS where nothing answers is an error that says so, and leaves nothing running', async () => {
  const env = { ...process.env, TEMPORAL_ADDRESS: '127.0.0.1:1' };
  await expect(Lab.up({ folder, size: SMALL_SIZE, env })).rejects.toThrow(/TEMPORAL_ADDRESS is 127\.0\.0\.1:1/);
  expect(pidsOf(await Lab.status(folder))).toEqual([]);
});

test('without TEMPORAL_ADDRESS the lab has a Temporal of its own, also for a shell that read its variables', async () => {
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
  const first = await Lab.up({ folder, size: SMALL_SIZE, env });
  expect(statesOf(await first.status())).toMatchObject({ temporal: 'running' });
  const temporal = (await first.status()).components.find(({ name }) => name === 'temporal');
  expect((await fetch(temporal?.page ?? '')).status).toBe(200);
  await first.down();
  const again = await Lab.up({ folder, size: SMALL_SIZE, env: { ...env, ...first.environment } });
  expect(statesOf(await again.status())).toMatchObject({ temporal: 'running' });
  expect(existsSync(temporal?.log ?? '')).toBe(true);
});
