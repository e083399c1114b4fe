/** A comprehensive run that found a difference, as its workflow answers it. */
import type { RunSummary } from '../../spec/reconciliation.js';

export const runSummary = (change: Partial<RunSummary> = {}): RunSummary => ({
  run: 'run-1',
  reconciliation: 'shop',
  level: 'comprehensive',
  outcome: 'done',
  why: null,
  verdict: 'different',
  primary: 'source',
  incremental: false,
  lsn: '0/1',
  at: '2026-01-01T00:00:00.000Z',
  tookMs: 2_000,
  tables: 2,
  tablesNotCompared: 0,
  rows: 1_000,
  bytes: 8_000,
  late: 0,
  suspects: 0,
  found: [],
  repaired: 0,
  queued: 0,
  remaining: 0,
  certificate: null,
  ...change,
});
