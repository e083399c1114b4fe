/** Changes of zones: PENDING until all of Route 53's servers have them, then INSYNC. */
import { randomBytes } from 'node:crypto';
import { AwsError } from '../answer.js';
import type { Branch } from '../tree.js';

interface Submitted {
  id: string;
  zone: string;
  comment: string | undefined;
  at: Date;
  /** Infinity: never, until `letSync`. */
  inSyncAt: number;
}

export class Changes {
  readonly #byId = new Map<string, Submitted>();

  submit(zone: string, comment: string | undefined, inSyncAfterMs: number): Branch {
    const id = `C${randomBytes(10).toString('hex').toUpperCase()}`;
    const submitted = { id, zone, comment, at: new Date(), inSyncAt: Date.now() + inSyncAfterMs };
    this.#byId.set(id, submitted);
    return describe(submitted);
  }

  /** https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html */
  get(id: string): Branch {
    const submitted = this.#byId.get(id);
    if (submitted === undefined) {
      throw new AwsError('NoSuchChange', `A change with the specified ID does not exist: ${id}`, 404);
    }
    return describe(submitted);
  }

  isPending(zone: string): boolean {
    return [...this.#byId.values()].some((one) => one.zone === zone && one.inSyncAt > Date.now());
  }

  /** The newest change of the zone stays PENDING. */
  hold(zone: string): void {
    const newest = [...this.#byId.values()].filter((one) => one.zone === zone).at(-1);
    if (newest !== undefined) newest.inSyncAt = Infinity;
  }

  letSync(): void {
    for (const one of this.#byId.values()) one.inSyncAt = Math.min(one.inSyncAt, Date.now());
  }

  clear(): void {
    this.#byId.clear();
  }
}

function describe(submitted: Submitted): Branch {
  return {
    Id: `/change/${submitted.id}`,
    Status: submitted.inSyncAt <= Date.now() ? 'INSYNC' : 'PENDING',
    SubmittedAt: submitted.at.toISOString(),
    Comment: submitted.comment,
  };
}
