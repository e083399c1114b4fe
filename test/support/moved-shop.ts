/** The shop behind a load balancer, as blue and green, and migrations that move its users with the real workflows. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { expect, inject, onTestFinished } from 'vitest';
import { PATIENCE } from '../../activities/aws/patience.js';
import { activities } from '../../activities/index.js';
import { Load } from '../../lab/load.js';
import type { TrafficWorld } from '../../lab/traffic-world.js';
import { QUERIES } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { StatusDocument, TrafficStatus } from '../../spec/status.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import type { migration } from '../../workflows/migration.js';
import { ShopWorld } from './shop-world.js';

type WrittenTraffic = NonNullable<NonNullable<MigrationDocument['spec']>['traffic']>[string];
type Handle = WorkflowHandle<typeof migration>;

export class MovedShop {
  #records = 0;

  private constructor(
    readonly world: TrafficWorld,
    readonly queue: string,
    readonly client: Client,
    readonly parts: { shop: ShopWorld; connection: Connection; workers: Workers },
  ) {}

  /** Metrics of the load balancer come every 5 s instead of every minute. */
  static async start(): Promise<MovedShop> {
    Object.assign(PATIENCE, { stale: 400, secondLook: 20, readBack: 5_000 });
    const queue = `traffic-${randomUUID().slice(0, 8)}`;
    const shop = await ShopWorld.start({
      scraped: true,
      edge: { secondMs: 100, refreshEveryMs: 300, cloudWatchEveryMs: 1_000 },
    });
    const world = shop.traffic;
    Object.assign(process.env, world.environment);
    const address = inject('temporalAddress');
    const connection = await Connection.connect({ address });
    const log = makeLog(process.env['TEST_LOG'] ?? 'silent');
    const workers = await startWorkers({
      address,
      queues: [queue],
      workflowQueue: queue,
      activities,
      log,
      graceMs: 200,
    });
    return new MovedShop(world, queue, new Client({ connection }), { shop, connection, workers });
  }

  /** Both steps as soon as the metrics prove them, without gates. */
  document(web: Partial<WrittenTraffic> = {}): MigrationDocument {
    const { listener, blueGroup, greenGroup } = this.world.estate;
    return {
      apiVersion: 'godwit.dev/v1alpha1',
      kind: 'Migration',
      metadata: { name: 'shop-green' },
      spec: {
        metrics: { prom: { prometheus: { url: this.world.prometheus?.url ?? '', template: 'http' } } },
        traffic: {
          web: {
            alb: { listener, settings: 'ignore', metricPeriod: '5s' },
            blue: { targetGroup: blueGroup, labels: { version: 'blue' } },
            green: { targetGroup: greenGroup, labels: { version: 'green' } },
            steps: [
              { weight: 50, hold: '0s' },
              { weight: 100, hold: '0s' },
            ],
            every: '500ms',
            watch: { for: '1s', every: '500ms' },
            taskQueue: this.queue,
            ...web,
          },
        },
        gates: { switch: { approvals: 0 }, finalize: { approvals: 0 } },
      },
    };
  }

  async begin(document: MigrationDocument): Promise<Handle> {
    const handle = await this.client.workflow.start<typeof migration>('migration', {
      workflowId: `shop-green-${randomUUID().slice(0, 8)}`,
      taskQueue: this.queue,
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

  async load(): Promise<Load> {
    this.#records += 1;
    const load = await Load.start({
      url: this.world.namedUrl,
      dns: this.world.nameServers.root,
      record: join(this.parts.shop.folder, `record-${this.#records}.jsonl`),
      clients: 4,
      rate: 150,
    });
    onTestFinished(() => load.kill());
    return load;
  }

  /** Green answers so late until the test is over, however it ends, or `quick` again. */
  async slowGreen(slow: { median: number; p99: number }): Promise<{ quick: () => Promise<void> }> {
    const quick = (): Promise<void> => this.world.green.behave({ slow: null });
    onTestFinished(quick);
    await this.world.green.behave({ slow });
    return { quick };
  }

  async stop(): Promise<void> {
    const { shop, connection, workers } = this.parts;
    await workers.stop();
    await connection.close();
    await shop.stop();
  }
}

export async function until(handle: Handle, isSo: (status: StatusDocument) => boolean): Promise<StatusDocument> {
  let last: StatusDocument | null = null;
  await expect
    .poll(
      async () => {
        last = await handle.query<StatusDocument>(QUERIES.status);
        return isSo(last) ? 'so' : `${last.state}, ${last.stage}: ${last.reason ?? ''}`;
      },
      { timeout: 120_000, interval: 300 },
    )
    .toBe('so');
  return last as unknown as StatusDocument;
}

export const trafficOf = ({ units }: StatusDocument): TrafficStatus | undefined => units[0]?.traffic;
