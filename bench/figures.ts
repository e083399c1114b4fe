/** Spread of repeated measurements: these machines are noisy, so one number says nothing. */
import { cpus, totalmem } from 'node:os';

export interface Spread {
  n: number;
  min: number;
  median: number;
  p95: number;
  p99: number;
  max: number;
}

/** Nearest-rank percentiles, rounded to 0.1. With few values high percentiles are the largest. */
export function spread(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
  const round = (value: number): number => Math.round(value * 10) / 10;
  return {
    n: sorted.length,
    min: round(rank(0)),
    median: round(rank(0.5)),
    p95: round(rank(0.95)),
    p99: round(rank(0.99)),
    max: round(rank(1)),
  };
}

export function machine(): string {
  const all = cpus();
  return `${all.length} cores (${all[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
