/** Which version of the shop answered its users. */
import type { LoadRecord } from '../../lab/load.js';

/** Requests by version; those without an answer of the shop count for `nobody`. */
export type Answered = Record<string, number>;

/** Milliseconds since the epoch. */
export interface Stay {
  from: number;
  to: number;
}

/** Of the requests that began and ended in that time. */
export function answered({ requests }: LoadRecord, { from, to }: Stay): Answered {
  const counts: Answered = {};
  for (const { startedAt, endedAt, version } of requests) {
    if (startedAt < from * 1_000 || endedAt > to * 1_000) continue;
    const who = version ?? 'nobody';
    counts[who] = (counts[who] ?? 0) + 1;
  }
  return counts;
}
