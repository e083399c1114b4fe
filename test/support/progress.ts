/** Tells a person at a terminal what the lab fetches for the tests. */
import type { SetupEvent } from '../../lab/components.js';

export function say(event: SetupEvent): void {
  const took = event.state === 'started' ? event.expected : `${Math.round(event.tookMs / 1000)} s`;
  process.stderr.write(`${event.title}: ${event.state} (${took})\n`);
}
