/** Whole migrations of one unit of traffic, by the real workflows and activities, in a worker of this process. */
import { randomUUID } from 'node:crypto';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { inject } from 'vitest';
import { activities } from '../../activities/index.js';
import { QUERIES, type MessageName } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { MessageRecord, StatusDocument, TrafficStatus } from '../../spec/status.js';
import type { MigrationResult } from '../../workflows/migration.js';
import type { MigrationState } from '../../workflows/state.js';
import { OwnWorkers, type Served } from './own-workers.js';
import { NO_TRAFFIC_YET } from './views.js';

export type TrafficDocument = NonNullable<MigrationDocument['spec']['traffic']>[string];

/** Each look is a query, and so a task of the worker. */
const POLL_MS = 500;
const PATIENCE_MS = 120_000;

export class TrafficRuns extends OwnWorkers {
  private constructor(
    client: Client,
    readonly queue: string,
    address: string,
  ) {
    super(client, address);
  }

  static async start(): Promise<TrafficRuns> {
    const address = inject('temporalAddress');
    const connection = await Connection.connect({ address });
    const runs = new TrafficRuns(new Client({ connection }), `traffic-${randomUUID().slice(0, 8)}`, address);
    await runs.startWorkers();
    return runs;
  }

  protected get served(): Served {
    return { queues: [this.queue], workflowQueue: this.queue, activities };
  }

  /** Nobody is asked at any gate. */
  async begin(traffic: TrafficDocument): Promise<Run> {
    const document: MigrationDocument = {
      apiVersion: 'godwit.dev/v1alpha1',
      kind: 'Migration',
      metadata: { name: 'shop-green' },
      spec: {
        traffic: { web: { taskQueue: this.queue, ...traffic } },
        gates: { switch: { approvals: 0 }, finalize: { approvals: 0 } },
      },
    };
    return this.start(`green-${randomUUID().slice(0, 8)}`, document);
  }

  async start(workflowId: string, input: unknown): Promise<Run> {
    const handle = await this.client.workflow.start<(input: unknown) => Promise<MigrationResult>>('migration', {
      workflowId,
      taskQueue: this.queue,
      args: [input],
    });
    return new Run(this, handle);
  }
}

/** How a run ended. */
export type Ended = 'migrated' | 'undone' | 'failed';

export class Run {
  constructor(
    readonly runs: TrafficRuns,
    readonly handle: WorkflowHandle<(input: unknown) => Promise<MigrationResult>>,
  ) {}

  get id(): string {
    return this.handle.workflowId;
  }

  status(): Promise<StatusDocument> {
    return this.handle.query<StatusDocument>(QUERIES.status);
  }

  async traffic(): Promise<TrafficStatus> {
    return trafficIn(await this.status());
  }

  /** Waits for a fact; says what was seen instead when it doesn't come. */
  async until(what: string, isSo: (status: StatusDocument) => boolean): Promise<StatusDocument> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const status = await this.status();
      if (isSo(status)) return status;
      if (Date.now() > deadline) {
        const { state, stage, reason } = status;
        throw new Error(`${this.id}: waited for ${what}, and saw ${state} in ${stage}: ${reason ?? 'no reason'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  atWeight(weight: number): Promise<StatusDocument> {
    return this.until(`${weight} %`, (status) => {
      const traffic = trafficIn(status);
      return traffic.weight === weight && traffic.wanted === null;
    });
  }

  needsAttention(): Promise<StatusDocument> {
    return this.until('needs-attention', ({ state }) => state === 'needs-attention');
  }

  /** As Temporal's own CLI would. */
  signal(name: MessageName, payload: unknown = {}): Promise<void> {
    return this.handle.signal(name, payload);
  }

  send(name: MessageName, payload: unknown = {}): Promise<MessageRecord> {
    return this.handle.executeUpdate<MessageRecord, [unknown]>(name, { args: [payload] });
  }

  async ended(): Promise<Ended> {
    try {
      return (await this.handle.result()).state;
    } catch (error) {
      if (error instanceof WorkflowFailedError) return 'failed';
      throw error;
    }
  }

  /** What `godwit abort` does with a migration that has failed or was terminated. */
  async revive(then: 'abort' | 'rollback' = 'abort'): Promise<Run> {
    const carry = await this.handle.query<MigrationState>(QUERIES.state);
    return this.runs.start(this.id, { carry, then });
  }
}

export function trafficIn({ units }: StatusDocument): TrafficStatus {
  return units.find((unit) => unit.traffic !== undefined)?.traffic ?? NO_TRAFFIC_YET;
}
