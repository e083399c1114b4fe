/** All that must point at the primary, moved together. Kinds join by a member of `NormalEndpoint`. */
import type { Milliseconds, NormalDatabase } from '../spec/normal.js';
import type { Primary } from '../spec/status.js';
import { failure } from './failure.js';
import { PgBouncerEndpoint } from './pgbouncer/endpoint.js';

export class Endpoints {
  private constructor(readonly all: readonly PgBouncerEndpoint[]) {}

  static async open(database: NormalDatabase): Promise<Endpoints> {
    const opened = await Promise.allSettled(
      database.endpoints.map((endpoint) => PgBouncerEndpoint.open(endpoint, database)),
    );
    const endpoints = new Endpoints(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    const failed = opened.find((one) => one.status === 'rejected');
    if (failed === undefined) return endpoints;
    await endpoints[Symbol.asyncDispose]();
    throw failed.reason;
  }

  /** Where each stands now, by name: the before-image. Fails before anything is paused if one could not be moved. */
  async images(): Promise<Record<string, string>> {
    const images = await Promise.all(this.all.map(async (one) => [one.name, await one.prove()] as const));
    return Object.fromEntries(images);
  }

  /** Pauses all at once. Fails with `Blocked`, nothing left paused, if one didn't complete within `timeout`. */
  async pause(timeout: Milliseconds): Promise<void> {
    const late: string[] = [];
    try {
      await this.#each(async (one) => {
        if (!(await one.pause(timeout))) late.push(one.name);
      });
    } catch (error) {
      await this.resume();
      throw error;
    }
    if (late.length === 0) return;
    await this.resume();
    throw failure('Blocked', `open transactions kept ${late.join(', ')} from pausing within ${Math.round(timeout)} ms`);
  }

  /**
   * Points all at one side and resumes each as soon as it is there: one that can't be moved doesn't hold up the clients of
   * the others. @param images entries to write back exactly; null: made from the side's URL
   */
  async moveTo(side: Primary, images: Record<string, string> | null): Promise<void> {
    await this.#each(async (one) => {
      await one.pointAt(side, images?.[one.name] ?? null);
      await one.resume();
    });
  }

  async resume(): Promise<void> {
    await this.#each((one) => one.resume());
  }

  /** Fails with the first failure, once all have come to an end: a RESUME would wait behind a PAUSE that is still under way. */
  async #each(work: (one: PgBouncerEndpoint) => Promise<void>): Promise<void> {
    const done = await Promise.allSettled(this.all.map(work));
    const failed = done.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((one) => one.close()));
  }
}
