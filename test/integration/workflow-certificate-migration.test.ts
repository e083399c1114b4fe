/** A certificate as part of a migration, over the whole world of traffic: load balancer, name servers, the shop as blue and green. */
import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { activities } from '../../activities/index.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import type { TrafficWorld } from '../../lab/traffic-world.js';
import { ZONE } from '../../lab/traffic-world.js';
import { QUERIES } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { StatusDocument } from '../../spec/status.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import type { migration } from '../../workflows/migration.js';
import { CertificateEyes, QUICK_ACM } from '../support/certificates.js';
import { ShopWorld } from '../support/shop-world.js';
import { hurry } from '../support/traffic.js';

const QUEUE = `certificate-${randomUUID().slice(0, 8)}`;
const DOMAIN = `new.${ZONE}`;

let shop: ShopWorld;
let world: TrafficWorld;
let eyes: CertificateEyes;
let listener: string;
let connection: Connection;
let client: Client;
let workers: Workers;

beforeAll(async () => {
  hurry();
  shop = await ShopWorld.start({ edge: { secondMs: 100, refreshEveryMs: 300 } });
  world = shop.traffic;
  world.aws.tell({ acm: QUICK_ACM });
  Object.assign(process.env, world.environment);
  eyes = new CertificateEyes(world.aws, seen(world));
  listener = await eyes.listenHttps(443);
  const address = inject('temporalAddress');
  connection = await Connection.connect({ address });
  client = new Client({ connection });
  const log = makeLog(process.env['TEST_LOG'] ?? 'silent');
  workers = await startWorkers({ address, queues: [QUEUE], workflowQueue: QUEUE, activities, log, graceMs: 200 });
});
afterAll(async () => {
  await workers?.stop();
  await connection?.close();
  await shop?.stop();
});

/** What the estate is called elsewhere. */
function seen({ account, estate }: TrafficWorld): AwsWorld {
  const { balancer, blueGroup, greenGroup } = estate;
  const zone = { id: estate.zone, name: `${ZONE}.`, nameServers: [] };
  return {
    account: account.credentials.accessKeyId,
    region: account.region,
    vpc: '',
    subnets: [],
    loadBalancer: { name: 'shop', ...balancer },
    listener: estate.listener,
    rule: '',
    blue: { arn: blueGroup, name: 'blue' },
    green: { arn: greenGroup, name: 'green' },
    zone,
    privateZone: zone,
  };
}

function documentOf(): MigrationDocument {
  const { listener: http, blueGroup, greenGroup, zone } = world.estate;
  return {
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop-green' },
    spec: {
      traffic: {
        web: {
          alb: { listener: http, settings: 'ignore', certificate: { domain: DOMAIN, zone, listener } },
          blue: { targetGroup: blueGroup },
          green: { targetGroup: greenGroup },
          every: '500ms',
          taskQueue: QUEUE,
        },
      },
    },
  };
}

async function begin(document: MigrationDocument): Promise<WorkflowHandle<typeof migration>> {
  const handle = await client.workflow.start<typeof migration>('migration', {
    workflowId: `shop-green-${randomUUID().slice(0, 8)}`,
    taskQueue: QUEUE,
    args: [document],
  });
  onTestFinished(async () => {
    if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
  });
  return handle;
}

async function until(handle: WorkflowHandle, state: StatusDocument['state']): Promise<StatusDocument> {
  let last: StatusDocument | null = null;
  const isSo = async (): Promise<string> => {
    last = await handle.query<StatusDocument>(QUERIES.status);
    return last.state === state ? 'so' : `${last.state}, ${last.stage}: ${last.reason ?? ''}`;
  };
  await expect.poll(isSo, { timeout: 120_000, interval: 300 }).toBe('so');
  return last as unknown as StatusDocument;
}

test('a migration asks when its certificate is refused, requests another when it is retried, and an abort leaves nothing of it', async () => {
  const before = await eyes.estate(listener);
  world.aws.tell({ acm: { refused: { [DOMAIN]: 'ADDITIONAL_VERIFICATION_REQUIRED' } } });
  const handle = await begin(documentOf());
  const held = await until(handle, 'needs-attention');
  expect(held.units[0]).toMatchObject({
    phase: 'certificate',
    problem: { type: 'CertificateFailed', next: expect.stringMatching(/Green has 0 % of the traffic/) as string },
  });
  const [refused] = await eyes.made();

  world.aws.tell({ acm: { refused: {} } });
  await handle.signal('retry', {});
  const ready = await until(handle, 'awaiting-approval');
  const { traffic } = ready.units[0] ?? {};
  expect(traffic).toMatchObject({ weight: 0, certificate: { names: [DOMAIN], state: 'served' } });
  const arn = traffic?.certificate?.arn;
  expect(arn).not.toBe(refused);
  expect(await eyes.made()).toEqual([arn]);
  expect(traffic?.certificate?.notAfter).toBe((await eyes.describe(arn ?? '')).NotAfter?.toISOString());
  expect((await eyes.served(listener)).map(({ CertificateArn }) => CertificateArn)).toContain(arn);
  expect(ready.undoLog.map(({ activity }) => activity)).toEqual([
    'undoCertificate',
    'undoValidation',
    'undoServing',
    'undoTraffic',
  ]);

  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  expect(await eyes.estate(listener)).toEqual(before);
});

test('an abort while it waits to be issued leaves the listener, the zone and ACM as they were', async () => {
  const before = await eyes.estate(listener);
  world.aws.tell({ acm: { issuedAfterMs: 3_600_000 } });
  const handle = await begin(documentOf());
  const waiting = async () => (await handle.query<StatusDocument>(QUERIES.status)).reason;
  await expect.poll(waiting, { timeout: 60_000 }).toMatch(/waits for its certificate/);
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  world.aws.tell({ acm: QUICK_ACM });
  expect(await eyes.estate(listener)).toEqual(before);
});
