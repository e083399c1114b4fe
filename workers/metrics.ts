/** Figures of one process for Prometheus: what activities do, and the two that people watch during a switch. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { ReconciliationObserver } from '../activities/reconciliation/observer.js';
import { reconciliationMetrics } from './reconciliation-metrics.js';

export type Outcome = 'completed' | 'failed' | 'cancelled';

export interface Metrics {
  registry: Registry;
  began(activity: string): { ended(outcome: Outcome, result: unknown): void };
  reconciliations: ReconciliationObserver;
}

/** From a statement on an idle server to a copy of days. */
const SECONDS = [0.01, 0.05, 0.25, 1, 5, 30, 120, 600, 3_600, 6 * 3_600, 24 * 3_600];
/** The promise is 50 ms at the 99th percentile, so most buckets are around it. */
const PAUSE_SECONDS = [0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 5];

export function makeMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const running = new Gauge({
    name: 'godwit_activities_running',
    help: 'Activities that run now',
    labelNames: ['activity'],
    registers,
  });
  const seconds = new Histogram({
    name: 'godwit_activity_seconds',
    help: 'How long activities took',
    labelNames: ['activity', 'outcome'],
    buckets: SECONDS,
    registers,
  });
  const pause = new Histogram({
    name: 'godwit_write_pause_seconds',
    help: 'From the first PAUSE to the last RESUME of a switch or rehearsal',
    labelNames: ['direction', 'kind'],
    buckets: PAUSE_SECONDS,
    registers,
  });
  const notNow = new Counter({
    name: 'godwit_switch_attempts_undone_total',
    help: 'Attempts of a switch that undid themselves',
    registers,
  });

  return {
    registry,
    reconciliations: reconciliationMetrics(registry),
    began(activity) {
      const stop = seconds.startTimer({ activity });
      running.inc({ activity });
      return {
        ended(outcome, result) {
          stop({ outcome });
          running.dec({ activity });
          if (activity !== 'switchWrites' || !isSwitchOutcome(result)) return;
          if (result.kind === 'not-now') notNow.inc();
          else pause.observe({ direction: result.figures.direction, kind: result.kind }, result.figures.pauseMs / 1000);
        },
      };
    },
  };
}

type Seen =
  { kind: 'not-now' } | { kind: 'switched' | 'rehearsed'; figures: { direction: 'forward' | 'back'; pauseMs: number } };

function isSwitchOutcome(result: unknown): result is Seen {
  return typeof result === 'object' && result !== null && 'kind' in result;
}
