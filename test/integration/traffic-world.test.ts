import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { BehaviourChange } from '../../lab/app/behaviour.js';
import { check } from '../../lab/check.js';
import { ask } from '../../lab/dns/ask.js';
import { Load, type LoadOptions } from '../../lab/load.js';
import { forkOf } from '../../lab/module-command.js';
import { SHOP } from '../../lab/shop/create.js';
import { forward, LoadBalancers } from '../../lab/traffic/load-balancers.js';
import type { TrafficWorld } from '../../lab/traffic-world.js';
import { identityOf } from '../../lab/world/process-identity.js';
import type { ServerPair } from '../support/postgres.js';
import { ShopWorld } from '../support/shop-world.js';

let shop: ShopWorld;
let pair: ServerPair;
let folder: string;
let world: TrafficWorld;
let elb: LoadBalancers;
let records = 0;

beforeAll(async () => {
  shop = await ShopWorld.start({ scraped: true, edge: { secondMs: 50, refreshEveryMs: 500 } });
  ({ pair, folder, traffic: world } = shop);
  elb = await LoadBalancers.in(world.account);
});

afterAll(async () => {
  elb?.close();
  const pids = world ? [world.edge, world.blue, world.green].map(({ process: part }) => part.pid) : [];
  pids.push(world?.prometheus?.pid ?? -1);
  await shop?.stop();
  expect(pids.filter((pid) => identityOf(pid) !== null)).toEqual([]);
});

async function startLoad(options: Partial<LoadOptions> = {}): Promise<Load> {
  const load = await Load.start({
    url: world.namedUrl,
    dns: world.nameServers.root,
    record: join(folder, `record-${(records += 1)}.jsonl`),
    clients: 4,
    rate: 200,
    ...options,
  });
  onTestFinished(() => load.kill());
  return load;
}

/** Well again when the test is over, however it ends. */
async function behaves(side: 'blue' | 'green', change: BehaviourChange): Promise<void> {
  onTestFinished(() => world[side].behave({ errorRate: 0, slow: null, down: false, healthy: true }));
  await world[side].behave(change);
}

const verdictOf = async (load: Load) =>
  check({ record: await load.record(), primary: pair.source.url(SHOP.database), switches: [] });

/** More of them than now. */
async function answersOf(load: Load, version: string, more: number): Promise<void> {
  const before = (await load.snapshot()).versions[version] ?? 0;
  const seen = async () => ((await load.snapshot()).versions[version] ?? 0) - before;
  await expect.poll(seen, { timeout: 60_000 }).toBeGreaterThan(more);
}

async function shift(blue: number, green: number): Promise<void> {
  const { listener, blueGroup, greenGroup } = world.estate;
  await elb.setDefault(listener, forward({ [blueGroup]: blue, [greenGroup]: green }));
  await world.edge.refresh();
}

async function healthy(): Promise<void> {
  const { blueGroup, greenGroup } = world.estate;
  const states = async () =>
    (await Promise.all([blueGroup, greenGroup].map((arn) => world.edge.targetHealth(arn))))
      .flat()
      .map(({ state }) => state);
  await expect.poll(states).toEqual(['healthy', 'healthy']);
}

test('users move from blue to green and back under load: no request fails, and every acknowledged write is there once', async () => {
  const load = await startLoad();
  await answersOf(load, 'blue', 100);
  expect((await load.snapshot()).versions['green']).toBeUndefined();
  await shift(1, 0);
  await healthy();
  await shift(50, 50);
  await answersOf(load, 'green', 100);
  await shift(0, 100);
  await answersOf(load, 'green', 100);
  await shift(100, 0);
  await answersOf(load, 'blue', 100);
  const last = await load.stop();
  expect(last).toMatchObject({ failed: 0, unknown: 0, errors: {} });
  expect((last.versions['blue'] ?? 0) + (last.versions['green'] ?? 0)).toBe(last.sent);
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [], doubled: [], unexpected: [] });
});

test('a bad green is as bad as it is told to be, and what it failed is nowhere', async () => {
  await shift(1, 0);
  await healthy();
  await shift(0, 1);
  await behaves('green', { errorRate: 0.5, slow: { median: 5, p99: 20 } });
  const load = await startLoad({ most: 200 });
  await expect.poll(async () => (await load.snapshot()).sent, { timeout: 60_000 }).toBe(200);
  const last = await load.stop();
  expect(last.sent).toBe(200);
  expect(last.errors).toEqual({ FAULTY: last.failed });
  expect(last.failed).toBeGreaterThan(50);
  expect(last.latencyMs.p50).toBeGreaterThan(3);
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [], unexpected: [] });
});

test('a green that is down fails requests of its share only, with the load balancer saying so, until its health takes it out', async () => {
  await shift(0, 1);
  await healthy();
  await behaves('green', { down: true });
  const load = await startLoad({ url: world.url, dns: null });
  await expect
    .poll(async () => (await load.snapshot()).errors['HTTP_502'] ?? 0, { timeout: 60_000 })
    .toBeGreaterThan(10);
  await shift(1, 0);
  await answersOf(load, 'blue', 100);
  await load.stop();
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [], doubled: [] });
  const refused = 'sum(alb_target_connection_errors_total{target_group=~".*/shop-green/.*"})';
  await expect.poll(() => world.prometheus?.value(refused), { timeout: 60_000 }).toBeGreaterThan(10);
  const ofBlue = 'sum(http_requests_total{job="shop", version="blue", code="200"})';
  await expect.poll(() => world.prometheus?.value(ofBlue), { timeout: 60_000 }).toBeGreaterThan(100);
});

test('an unhealthy blue shows in DescribeTargetHealth, and a worker finds name servers and metrics by what the world tells', async () => {
  await behaves('blue', { healthy: false });
  const blue = async () => (await world.edge.targetHealth(world.estate.blueGroup))[0];
  await expect.poll(async () => (await blue())?.reason, { timeout: 60_000 }).toBe('Target.ResponseCodeMismatch');
  await world.blue.behave({ healthy: true });
  const [address = '', port] = (world.environment['GODWIT_DNS'] ?? '').split(':');
  const answer = await ask(
    { address, port: Number(port) },
    { name: world.estate.name, type: 'A' },
    { recursive: true },
  );
  expect(answer.answers).toMatchObject([{ type: 'A', data: new URL(world.url).hostname }]);
  expect(await (await fetch(world.metrics.blue)).text()).toContain('http_requests_total{code="200"}');
});

test('the processes of a world end with the one that started them, even if it is killed', async () => {
  const { file, execArgv } = forkOf(import.meta.url, '../support/app-child');
  const child = fork(file, [folder, pair.source.url(SHOP.database)], {
    execArgv,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [pid] = (await once(child, 'message')) as [number];
  expect(identityOf(pid)).not.toBeNull();
  child.kill('SIGKILL');
  await expect.poll(() => identityOf(pid), { timeout: 60_000 }).toBeNull();
});
