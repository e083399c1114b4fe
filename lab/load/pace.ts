/** At most so many requests a second, over all clients. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Pace {
  /** Resolves when the caller may send its next request. */
  turn: () => Promise<void>;
}

/**
 * Turns are spread evenly. What a stall kept from being sent isn't made up for: a burst after each switch would measure
 * the burst, not the switch.
 * @param perSecond null: as fast as clients get answers
 */
export function pace(perSecond: number | null): Pace {
  if (perSecond === null) return { turn: () => Promise.resolve() };
  const interval = 1_000 / perSecond;
  // Node's timers are 1 ms coarse and often late; up to this much may be caught up at once.
  const slack = Math.max(4 * interval, 5);
  let next = performance.now();
  return {
    turn: async () => {
      const at = performance.now();
      next = Math.max(next, at - slack);
      const due = next;
      next += interval;
      if (due > at) await sleep(due - at);
    },
  };
}
