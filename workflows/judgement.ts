/**
 * What one look at a database means for its migration: nothing, something to say, or something for a person. Pure, and the
 * same before the switch (lookout.ts) and after it (watching.ts).
 */
import type { Observation } from '../activities/contract.js';
import type { FailureType } from '../spec/failures.js';
import { lookoutOf, type Milliseconds, type NormalDatabase } from '../spec/normal.js';

/** One bad look may be an apply worker that is just restarting; two in a row are a fact. */
export const BAD_LOOKS = 2;

/** What earlier looks have shown. */
export interface Memory {
  /** It has kept up once: only then lag is a reason. */
  caughtUp: boolean;
  badLooks: number;
  progress: string;
  /** Without progress. */
  stalledFor: Milliseconds;
}

export const NOTHING_SEEN: Memory = { caughtUp: false, badLooks: 0, progress: '', stalledFor: 0 };

/** What a person's `retry` does about it, beside looking again. */
export type Remedy = 'none' | 'adopt' | 'accept-failover' | 'resync' | 'give-up-first';

export interface Concern {
  type: FailureType;
  message: string;
  next: string;
  remedy: Remedy;
}

export interface Judgement {
  memory: Memory;
  concern: Concern | null;
  warnings: string[];
}

/** @param since time since the last look */
export function judge(
  seen: Observation,
  before: Memory,
  since: Milliseconds,
  database: Pick<NormalDatabase, 'lookout'>,
): Judgement {
  const limits = lookoutOf(database);
  const arriving = seen.lagMs !== null && seen.lagMs < limits.maxLag;
  const progress = seen.progress ?? '';
  const stalledFor = progress !== '' && progress === before.progress ? before.stalledFor + since : 0;
  const caughtUp = before.caughtUp || (seen.replicating !== null && arriving);
  const late = caughtUp && seen.lagMs !== null && !arriving;
  const troubles = [
    ...seen.problems,
    ...(late
      ? [`the side that follows is ${seconds(seen.lagMs ?? 0)} behind; lookout.maxLag is ${seconds(limits.maxLag)}`]
      : []),
  ];
  const badLooks = troubles.length === 0 ? 0 : before.badLooks + 1;
  const memory = { caughtUp, badLooks, progress, stalledFor };
  return { memory, concern: concernOf(seen, memory, troubles, limits.stall), warnings: seen.warnings ?? [] };
}

/** The most pressing one: what can't be mended by waiting comes first. */
function concernOf(seen: Observation, memory: Memory, troubles: string[], stall: Milliseconds): Concern | null {
  const follower = seen.primary === 'target' ? 'source' : 'target';
  if (seen.stranger != null) {
    return {
      type: 'SystemChanged',
      message: seen.stranger,
      next: 'A promoted standby may lack what its primary had acknowledged. `retry` takes it for the same server, and compares all rows anew before it goes on; or bring the old server back',
      remedy: 'accept-failover',
    };
  }
  if (seen.drift != null) {
    const { changed, differences } = seen.drift;
    const where = changed.map((side) => `the ${side}`).join(' and ');
    return {
      type: 'SchemaMismatch',
      message:
        differences.length === 0
          ? `tables of ${where} have changed since replication began; both sides have the same now`
          : `tables of ${where} have changed since replication began, and the sides differ: ${differences.join('; ')}`,
      next:
        differences.length === 0
          ? '`retry` goes on with the tables as they are now, and compares all rows again'
          : `Make the same change on the other side (replication goes on by itself then), or undo it; then \`retry\``,
      remedy: 'adopt',
    };
  }
  if (seen.lost != null) {
    return seen.primary === 'target'
      ? {
          type: 'ReplicationBroken',
          message: `${seen.lost}. The way back is lost`,
          next: 'The target takes the writes, and has all of them. It can no longer be rolled back without loss. `retry` goes on without a way back, to the gate of finalize',
          remedy: 'resync',
        }
      : {
          type: 'ReplicationBroken',
          message: seen.lost,
          next: 'The source takes the writes, and lacks nothing. `retry` begins the sync anew, with a new slot: rows that are still equal are kept',
          remedy: 'resync',
        };
  }
  if (seen.overLimit != null) {
    return {
      type: 'ReplicationBroken',
      message: seen.overLimit,
      next: `See why the ${follower} doesn't follow; or raise the limit with \`set\`. With lookout.onLimit=drop the slot is given up`,
      remedy: 'give-up-first',
    };
  }
  if (memory.badLooks >= BAD_LOOKS) {
    return { type: 'ReplicationBroken', message: troubles.join('; '), next: BY_ITSELF, remedy: 'none' };
  }
  if (memory.stalledFor >= stall) {
    const who = seen.waiting ?? [];
    return {
      type: 'Blocked',
      message: `nothing has gone forward for ${seconds(memory.stalledFor)}${who.length === 0 ? '' : `: ${who.join('; ')}`}`,
      next: `${who.length === 0 ? 'Look at the server logs and at pg_stat_activity of both sides' : 'End what is in the way'}. ${BY_ITSELF}`,
      remedy: 'none',
    };
  }
  return null;
}

const BY_ITSELF = 'It goes on by itself once a look finds it well';

const seconds = (ms: Milliseconds): string => `${Math.round(ms / 1_000)} s`;
