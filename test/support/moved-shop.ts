/** The shop behind a load balancer, as blue and green, and migrations that move its users with the real workflows. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { expect, inject, onTestFinished } from 'vitest';
import { PATIENCE } from '../../activities/aws/patience.js';
import { activities } from '../../activities/index.js';
import { ensurePrometheus } from '../../lab/components.js';
import { Load } from '../../lab/load.js';
import { createShopDatabase, fillShop, SHOP, SMALL_SIZE } from '../../lab/shop/create.js';
import { TrafficWorld } from '../../lab/traffic-world.js';
import { QUERIES } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { StatusDocument, TrafficStatus } from '../../spec/status.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import type { migration } from '../../workflows/migration.js';
import { newAccount, startAws } from './aws.js';
import { startPair, type ServerPair } from './postgres.js';
import { say } from './progress.js';

type WrittenTraffic = NonNullable<NonNullable<MigrationDocument['spec']>['traffic']>[string];
type Handle = WorkflowHandle<typeof migration>;

export class MovedShop {
  #records = 0;

  private constructor(
    readonly world: TrafficWorld,
    readonly queue: string,
    readonly client: Client,
    readonly folder: string,
    readonly parts: { pair: ServerPair; connection: Connection; workers: Workers },
  ) {}

  /** Metrics of the load balancer come every 5 s instead of every minute. */
  static async start(): Promise<MovedShop> {
    Object.assign(PATIENCE, { stale: 400, secondLook: 20, readBack: 5_000 });
    const queue = `traffic-${randomUUID().slice(0, 8)}`;
    const pair = await startPair();
    await createShopDatabase(pair.source);
    await fillShop(pair.source, SMALL_SIZE);
    const folder = await mkdtemp(join(tmpdir(), 'godwit-traffic-'));
    // Moto answers when this does.
    await (await startAws()).stop();
    const world = await TrafficWorld.start({
      folder,
      moto: inject('motoUrl'),
      account: newAccount(),
      database: pair.source.url(SHOP.database),
      prometheus: await ensurePrometheus({ onProgress: say }),
      edge: { secondMs: 100, refreshEveryMs: 300, cloudWatchEveryMs: 1_000 },
      names: { refreshEveryMs: 500 },
    });
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
    return new MovedShop(world, queue, new Client({ connection }), folder, { pair, connection, workers });
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

  load(): Promise<Load> {
    this.#records += 1;
    return Load.start({
      url: this.world.namedUrl,
      dns: this.world.nameServers.root,
      record: join(this.folder, `record-${this.#records}.jsonl`),
      clients: 4,
      rate: 150,
    });
  }

  async stop(): Promise<void> {
    const { pair, connection, workers } = this.parts;
    await workers.stop();
    await connection.close();
    await this.world.stop();
    await pair.destroy();
    await rm(this.folder, { recursive: true, force: true });
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
