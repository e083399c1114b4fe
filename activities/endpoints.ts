/** All that must point at the primary, moved together. Kinds join by a member of `NormalEndpoint`. */
import type { Milliseconds, NormalEndpoint } from '../spec/normal.js';
import type { Primary } from '../spec/status.js';
import type { EndpointContext, EndpointHandle } from './endpoint-handle.js';
import { failure } from './failure.js';
import { HookEndpoint } from './hook/endpoint.js';
import { PgBouncerEndpoint } from './pgbouncer/endpoint.js';
import { MultiHostClients } from './postgres/multi-host.js';
import { UnmovedClients } from './unmoved.js';

/** What each endpoint was before anything was changed, by its name. */
export type Images = Record<string, string>;

async function open(endpoint: NormalEndpoint, context: EndpointContext): Promise<EndpointHandle> {
  switch (endpoint.kind) {
    case 'pgbouncer':
      return PgBouncerEndpoint.open(endpoint, context.move.database);
    case 'multiHost':
      return new MultiHostClients(endpoint, context);
    case 'hook':
      return HookEndpoint.open(endpoint, context);
    case 'none':
      return new UnmovedClients(endpoint);
  }
}

export class Endpoints {
  private constructor(readonly all: readonly EndpointHandle[]) {}

  /** @param only names of those that are needed; null: all */
  static async open(context: EndpointContext, only: string[] | null = null): Promise<Endpoints> {
    const wanted = context.move.database.endpoints.filter(({ name }) => only === null || only.includes(name));
    const opened = await Promise.allSettled(wanted.map((endpoint) => open(endpoint, context)));
    const endpoints = new Endpoints(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    const failed = opened.find((one) => one.status === 'rejected');
    if (failed === undefined) return endpoints;
    await endpoints[Symbol.asyncDispose]();
    throw failed.reason;
  }

  /**
   * Where each stands now, by name: the before-image. Fails before anything is paused if one could not be moved.
   * @param known images that are kept already
   */
  async images(known: Images | null): Promise<Images> {
    const images = await Promise.all(
      this.all.map(async (one) => [one.name, await one.prove(known?.[one.name] ?? null)] as const),
    );
    return Object.fromEntries(images);
  }

  /** Pauses all that can be at once. Fails with `Blocked`, nothing left paused, if one didn't complete within `timeout`. */
  async pause(timeout: Milliseconds): Promise<void> {
    const late: string[] = [];
    try {
      await each(this.#pausing, async (one) => {
        if (!(await one.pause(timeout))) late.push(one.name);
      });
    } catch (error) {
      await this.resume();
      throw error;
    }
    if (late.length === 0) return;
    await this.resume();
    throw failure(
      'Blocked',
      `${late.join(', ')} could not hold all clients within ${Math.round(timeout)} ms: mostly for open transactions`,
    );
  }

  /**
   * Points all at one side and resumes each as soon as it is there: one that can't be moved doesn't hold up the clients of
   * the others. One without an image was never touched, and isn't now.
   */
  async moveTo(side: Primary, images: Images): Promise<void> {
    await each(this.all, async (one) => {
      const image = images[one.name];
      if (image === undefined) return;
      await one.pointAt(side, image);
      await one.resume();
    });
  }

  async resume(): Promise<void> {
    await each(this.#pausing, (one) => one.resume());
  }

  /** What is left to do when nobody waits for it any more. */
  async sweep(primary: Primary): Promise<void> {
    await each(this.all, (one) => one.sweep(primary));
  }

  get #pausing(): EndpointHandle[] {
    return this.all.filter(({ pauses }) => pauses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((one) => one.close()));
  }
}

/** Fails with the first failure, once all have come to an end: a RESUME would wait behind a PAUSE that is still under way. */
async function each(some: readonly EndpointHandle[], work: (one: EndpointHandle) => Promise<void>): Promise<void> {
  const done = await Promise.allSettled(some.map(work));
  const failed = done.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
