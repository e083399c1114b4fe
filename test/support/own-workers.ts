/** Workers of this process, that a test can stop and start again. */
import type { Client } from '@temporalio/client';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers, type WorkersOptions } from '../../workers/run.js';

/** What they serve. */
export type Served = Pick<Required<WorkersOptions>, 'queues' | 'workflowQueue' | 'activities'>;

export abstract class OwnWorkers {
  #workers: Workers | null = null;

  protected constructor(
    readonly client: Client,
    readonly address: string,
  ) {}

  protected abstract get served(): Served;

  async startWorkers(): Promise<void> {
    this.#workers = await startWorkers({
      ...this.served,
      address: this.address,
      log: makeLog(process.env['TEST_LOG'] ?? 'silent'),
      graceMs: 200,
    });
  }

  async stopWorkers(): Promise<void> {
    await this.#workers?.stop();
    this.#workers = null;
  }

  async stop(): Promise<void> {
    await this.stopWorkers();
    await this.client.connection.close();
  }
}
