/** Waiting inside an activity, for what AWS promises only sooner or later. What takes minutes is the workflow's to wait for. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../spec/normal.js';
import { cancellation, heartbeat } from '../activity-context.js';

/** Tests of what happens at its end make it shorter. */
export const PATIENCE: Record<
  'answer' | 'stale' | 'secondLook' | 'readBack' | 'inSync' | 'listed' | 'released',
  Milliseconds
> = {
  /** For one call. The slowest, ListResourceRecordSets of a large zone, takes less than a second. */
  answer: 10_000,
  /** Until a read that shows neither the last state nor the wanted one is believed: it may be older than our last write. */
  stale: 5_000,
  /** Between two looks for others who claim the same at once: each sees the other by then, also in reads that lag. */
  secondLook: 2_000,
  /** Until what was written is read back. */
  readBack: 15_000,
  /** Until Route 53 says INSYNC, which takes it less than a minute as a rule. */
  inSync: 90_000,
  /** Until ACM's list is believed that has no certificate of a request whose answer may be lost: it lags by several seconds. */
  listed: 30_000,
  /** Until ACM no longer counts a listener that has lost a certificate: some ten seconds. */
  released: 45_000,
};

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** Looks, at growing distances, until `good` or until patience ends; answers what was seen last. */
export async function lookUntil<T>(
  look: () => Promise<T>,
  good: (seen: T) => boolean,
  patience: Milliseconds,
  firstPause: Milliseconds = FIRST_PAUSE_MS,
): Promise<T> {
  const until = Date.now() + patience;
  for (let pause = firstPause; ; pause = Math.min(pause * 1.6, LONGEST_PAUSE_MS)) {
    const seen = await look();
    if (good(seen) || Date.now() + pause > until) return seen;
    heartbeat();
    await sleep(pause, undefined, { signal: cancellation() });
  }
}
