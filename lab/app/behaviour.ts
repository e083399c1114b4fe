/** What the application can be told to be, at any moment: slow, faulty, unhealthy, down. No I/O. */
import { z } from 'zod';

export const Behaviour = z.object({
  /** Time that each answer takes besides its work, log-normal: half of them at most `median`, 99 % at most `p99`. Milliseconds. */
  slow: z.object({ median: z.number().positive(), p99: z.number().positive() }).nullable(),
  /** Share of requests that fail with status 500 and change nothing, 0 to 1. */
  errorRate: z.number().min(0).max(1),
  /** What `/health` says; requests are served all the same. */
  healthy: z.boolean(),
  /** Nobody listens: connections are refused, and open ones are cut. */
  down: z.boolean(),
});
export type Behaviour = z.infer<typeof Behaviour>;

/** What isn't named stays. */
export type BehaviourChange = { [K in keyof Behaviour]?: Behaviour[K] | undefined };

export const GOOD: Behaviour = { slow: null, errorRate: 0, healthy: true, down: false };

/** Of the standard normal distribution. */
const Z99 = 2.326;

/** Milliseconds of one answer. */
export function delayOf({ slow }: Behaviour, random: () => number): number {
  if (slow === null) return 0;
  const sigma = Math.log(slow.p99 / slow.median) / Z99;
  // Box and Muller; 1 - random is never 0.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return slow.median * Math.exp(sigma * normal);
}
