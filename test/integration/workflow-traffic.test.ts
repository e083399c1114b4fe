/** Traffic moved by the real workflows over real parts: the shop as blue and green, under load, judged by a real Prometheus. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DescribeListenersCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { ListResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { PATIENCE } from '../../activities/aws/patience.js';
import { trafficActivities } from '../../activities/aws/traffic.js';
import { activities } from '../../activities/index.js';
import { check } from '../../lab/check.js';
import { Load } from '../../lab/load.js';
import { SHOP } from '../../lab/shop/create.js';
import { forward, LoadBalancers } from '../../lab/traffic/load-balancers.js';
import type { TrafficWorld } from '../../lab/traffic-world.js';
import { QUERIES } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { StatusDocument } from '../../spec/status.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import type { migration } from '../../workflows/migration.js';
import type { ServerPair } from '../support/postgres.js';
import { ShopWorld } from '../support/shop-world.js';
import { recordMoveOf } from '../support/traffic.js';

const QUEUE = `traffic-${randomUUID().slice(0, 8)}`;

let shop: ShopWorld;
let pair: ServerPair;
let folder: string;
let world: TrafficWorld;
let elb: ElasticLoadBalancingV2Client;
let connection: Connection;
let client: Client;
let workers: Workers;
let records = 0;

beforeAll(async () => {
  Object.assign(PATIENCE, { stale: 400, secondLook: 20, readBack: 5_000 });
  shop = await ShopWorld.start({
    scraped: true,
    edge: { secondMs: 100, refreshEveryMs: 300, cloudWatchEveryMs: 1_000 },
  });
  ({ pair, folder, traffic: world } = shop);
  Object.assign(process.env, world.environment);
  elb = new ElasticLoadBalancingV2Client(world.account);
  const address = inject('temporalAddress');
  connection = await Connection.connect({ address });
  client = new Client({ connection });
  const log = makeLog(process.env['TEST_LOG'] ?? 'silent');
  workers = await startWorkers({ address, queues: [QUEUE], workflowQueue: QUEUE, activities, log, graceMs: 200 });
});

afterAll(async () => {
  await workers?.stop();
  await connection?.close();
  elb?.destroy();
  await shop?.stop();
});

interface Change {
  steps?: { weight: number; hold: string; approvals?: number }[];
  errors?: string;
}

function documentOf({ steps, errors = '5%' }: Change): MigrationDocument {
  const { listener, blueGroup, greenGroup } = world.estate;
  return {
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop-green' },
    spec: {
      metrics: { prom: { prometheus: { url: world.prometheus?.url ?? '', template: 'http' } } },
      traffic: {
        web: {
          alb: { listener, settings: 'ignore', metricPeriod: '5s' },
          blue: { targetGroup: blueGroup, labels: { version: 'blue' } },
          green: { targetGroup: greenGroup, labels: { version: 'green' } },
          steps: steps ?? [
            { weight: 50, hold: '0s' },
            { weight: 100, hold: '0s' },
          ],
          gates: [{ errorRatio: { absolute: errors }, minSamples: 20, window: '10s', sustained: '1s', consecutive: 2 }],
          every: '500ms',
          watch: { for: '1s', every: '500ms' },
          taskQueue: QUEUE,
        },
      },
      gates: { switch: { approvals: 0 }, finalize: { approvals: 0 } },
    },
  };
}

async function begin(document: MigrationDocument): Promise<WorkflowHandle<typeof migration>> {
  const handle = await client.workflow.start<typeof migration>('migration', {
    workflowId: `shop-green-${randomUUID().slice(0, 8)}`,
    taskQueue: QUEUE,
    args: [document],
  });
  // One that a failed test leaves would keep the listener from the next one.
  onTestFinished(async () => {
    if ((await handle.describe()).status.name !== 'RUNNING') return;
    await handle.signal('abort', {});
    await handle.result().catch(() => undefined);
  });
  return handle;
}

const statusOf = (handle: WorkflowHandle<typeof migration>): Promise<StatusDocument> =>
  handle.query<StatusDocument>(QUERIES.status);

async function until(
  handle: WorkflowHandle<typeof migration>,
  isSo: (status: StatusDocument) => boolean,
): Promise<StatusDocument> {
  let last: StatusDocument | null = null;
  await expect
    .poll(
      async () => {
        last = await statusOf(handle);
        return isSo(last) ? 'so' : `${last.state}, ${last.stage}: ${last.reason ?? ''}`;
      },
      { timeout: 120_000, interval: 300 },
    )
    .toBe('so');
  return last as unknown as StatusDocument;
}

const traffic = ({ units }: StatusDocument) => units[0]?.traffic;

const listenerActions = async () => {
  const { Listeners } = await elb.send(new DescribeListenersCommand({ ListenerArns: [world.estate.listener] }));
  return Listeners?.[0]?.DefaultActions;
};

async function startLoad(): Promise<Load> {
  const load = await Load.start({
    url: world.namedUrl,
    dns: world.nameServers.root,
    record: join(folder, `record-${(records += 1)}.jsonl`),
    clients: 4,
    rate: 150,
  });
  onTestFinished(() => load.kill());
  return load;
}

const verdictOf = async (load: Load) =>
  check({ record: await load.record(), primary: pair.source.url(SHOP.database), switches: [] });

test('a green that turns bad gets no more traffic: everybody goes back by itself, and an abort leaves the listener as it was', async () => {
  const before = await listenerActions();
  const load = await startLoad();
  const handle = await begin(
    documentOf({
      steps: [
        { weight: 50, hold: '1h' },
        { weight: 100, hold: '0s' },
      ],
    }),
  );
  await until(handle, (status) => traffic(status)?.weight === 50);
  onTestFinished(() => world.green.behave({ errorRate: 0 }));
  await world.green.behave({ errorRate: 0.5 });
  const back = await until(handle, ({ state }) => state === 'rolled-back');
  await world.green.behave({ errorRate: 0 });
  expect(traffic(back)).toMatchObject({ weight: 0, step: 0 });
  expect(traffic(back)?.log.map(({ weight }) => weight)).toEqual([0, 50, 0]);
  expect(traffic(back)?.log.at(-1)?.why).toMatch(/limit 5 %/);
  expect(back.messages.at(-1)).toMatchObject({ name: 'rollback', by: 'the gates of traffic/web' });
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  expect(await listenerActions()).toEqual(before);
  await load.stop();
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [] });
});

test('what somebody else changes in the middle is noticed before the next write, and holds; a hand on the wheel is kept with its reason', async () => {
  const handle = await begin(
    documentOf({
      steps: [
        { weight: 10, hold: '1h' },
        { weight: 100, hold: '0s' },
      ],
    }),
  );
  await until(handle, (status) => traffic(status)?.weight === 10);
  await handle.signal('setWeight', { weight: 5, by: 'ana', reason: 'slowly' });
  const steered = await until(handle, (status) => traffic(status)?.weight === 5);
  expect(traffic(steered)).toMatchObject({ byHand: true });
  expect(traffic(steered)?.log.at(-1)).toMatchObject({ weight: 5, why: 'slowly', by: 'ana' });

  const { listener, blueGroup, greenGroup } = world.estate;
  const written = await listenerActions();
  const somebody = await LoadBalancers.in(world.account);
  await somebody.setDefault(listener, forward({ [blueGroup]: 60, [greenGroup]: 40 }));
  const held = await until(handle, ({ state }) => state === 'needs-attention');
  expect(held.units[0]?.problem).toMatchObject({ type: 'TrafficChanged' });
  expect(await listenerActions()).not.toEqual(written);

  await somebody.setDefault(listener, forward({ [blueGroup]: 95, [greenGroup]: 5 }));
  somebody.close();
  await handle.signal('retry', {});
  await until(handle, ({ state }) => state === 'running');
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
});

test('an alias of the load balancer is told from other addresses by what each name server answers, and comes back as it was', async () => {
  const zone = { id: world.estate.zone.replace('/hostedzone/', ''), name: 'example.org.', nameServers: [] };
  const green = { setIdentifier: null, target: { values: ['10.9.0.1'] } };
  const move = recordMoveOf(world.aws, { zone }, { green });
  const route53 = new Route53Client(world.account);
  const records = async () =>
    (await route53.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone.id }))).ResourceRecordSets;
  const before = await records();
  const image = await trafficActivities.captureTraffic(move);
  // One that fails half-way would leave the others' users nowhere.
  onTestFinished(async () => {
    world.nameServers.hold(2, false);
    await trafficActivities.undoTraffic({ move, image });
    expect(await records()).toEqual(before);
    route53.destroy();
    await world.refresh();
  });
  await trafficActivities.lockTraffic({ move, image });
  await trafficActivities.setTraffic({ move, image, from: null, to: 25 });
  await world.refresh();
  const prove = (weight: number) => trafficActivities.proveTraffic({ move, image, weight, sinceMs: 0 });
  const proven = await prove(25);
  expect(proven.explanation).toMatch(/^answers of 4 name servers for green: \d+ of 400 = .*; the weight is 25 %$/);
  expect(proven.verdict).toBe('proven');
  expect(await prove(75)).toMatchObject({ verdict: 'differs' });
  // One of the four does not take the next change, as Route 53's do not all at once.
  world.nameServers.hold(2, true);
  await trafficActivities.setTraffic({ move, image, from: 25, to: 90 });
  await world.refresh();
  const late = await prove(90);
  expect(late.verdict).toBe('differs');
  expect(late.explanation).toMatch(/^ns-\S+ answers for green: .*; the weight is 90 %$/);
  world.nameServers.hold(2, false);
  await world.refresh();
  expect(await prove(90)).toMatchObject({ verdict: 'proven' });
});

test('users move to a good green step by step, under load, without a failed request', async () => {
  const load = await startLoad();
  const handle = await begin(documentOf({}));
  expect(await handle.result()).toMatchObject({ state: 'migrated' });
  const ended = await statusOf(handle);
  expect(traffic(ended)?.log.map(({ weight }) => weight)).toEqual([0, 50, 100]);
  expect((await listenerActions())?.[0]?.ForwardConfig?.TargetGroups).toMatchObject([
    { TargetGroupArn: world.estate.greenGroup },
  ]);
  const last = await load.stop();
  expect(last).toMatchObject({ failed: 0, unknown: 0 });
  expect(last.versions['green']).toBeGreaterThan(0);
  expect(await verdictOf(load)).toMatchObject({ ok: true, lost: [], doubled: [], unexpected: [] });
});
