/** The samples by name. */
import { PGBENCH } from './pgbench.js';
import { RENTAL } from './rental.js';
import type { Sample } from './sample.js';
import { TELEMETRY } from './telemetry.js';

export const SAMPLES = { pgbench: PGBENCH, rental: RENTAL, telemetry: TELEMETRY } as const satisfies Record<
  string,
  Sample
>;

export type SampleName = keyof typeof SAMPLES;
