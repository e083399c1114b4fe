/**
 * Eventual consistency: after a write, reads may still be answered by a replica that hasn't heard of it. Each read that was
 * ever asked is asked again right before a write, and for a while its old answer is given. A read that nobody asked
 * before the write sees it at once.
 */
import type { Answer } from './answer.js';
import type { Call, Service } from './call.js';

/** How long a write isn't seen: by that many reads of each kind, or for that long, whichever lasts longer. */
export interface Staleness {
  reads?: number;
  ms?: number;
}

type Answering = (call: Call) => Promise<Answer>;

interface Remembered {
  call: Call;
  stale: { answer: Promise<Answer>; reads: number; until: number } | null;
}

/** Enough for every read of a migration; a bound, since each costs a question at every write. */
const MOST_READS = 200;

/** They tell what is, not what was written. */
const NEVER_STALE = ['DescribeTargetHealth', 'GetChange', 'GetMetricData', 'GetMetricStatistics'];

export const isRead = (operation: string): boolean => /^(Describe|List|Get)/.test(operation);

export class Replica {
  readonly #reads = new Map<string, Remembered>();

  constructor(
    readonly answer: Answering,
    readonly staleness: (service: Service) => Staleness | undefined,
  ) {}

  async read(call: Call): Promise<Answer> {
    if (NEVER_STALE.includes(call.operation)) return this.answer(call);
    const remembered = this.#remember(call);
    const stale = remembered.stale;
    if (stale === null || (stale.reads <= 0 && stale.until <= Date.now())) return this.answer(call);
    stale.reads -= 1;
    return stale.answer;
  }

  /** Right before a write: what every read of the same service, account and region says now is what it goes on to say. */
  async keep(write: Call): Promise<void> {
    const staleness = this.staleness(write.service);
    if (staleness === undefined) return;
    for (const remembered of this.#reads.values()) {
      if (!sameReplica(remembered.call, write)) continue;
      const answer = this.answer(remembered.call);
      await answer.catch(() => undefined);
      remembered.stale = { answer, reads: staleness.reads ?? 0, until: Date.now() + (staleness.ms ?? 0) };
    }
  }

  /** Every write is seen by everybody. */
  catchUp(): void {
    for (const remembered of this.#reads.values()) remembered.stale = null;
  }

  clear(): void {
    this.#reads.clear();
  }

  #remember(call: Call): Remembered {
    const key = JSON.stringify([call.service, call.account, call.region, call.operation, call.parameters]);
    const remembered = this.#reads.get(key) ?? { call, stale: null };
    this.#reads.set(key, remembered);
    const oldest = this.#reads.keys().next().value;
    if (this.#reads.size > MOST_READS && oldest !== undefined) this.#reads.delete(oldest);
    return remembered;
  }
}

const sameReplica = (one: Call, other: Call): boolean =>
  one.service === other.service && one.account === other.account && one.region === other.region;
