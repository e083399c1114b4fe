/**
 * Figures of reconciliations for Prometheus. Those of the last run are gauges of the process that ran it: another worker may
 * run the next one, so alerts go by the newest `last_run_timestamp_seconds`; see docs/alerts/reconciliation.rules.yaml.
 */
import { Counter, Gauge, Histogram, type LabelValues, type Registry } from 'prom-client';
import { acceptedIn, countsOf } from '../activities/reconciliation/counts.js';
import type { ReconciliationObserver } from '../activities/reconciliation/observer.js';
import type { FindingKind, RunTable, RunVerdict } from '../spec/reconciliation.js';

/** From a quick run of a small database to a comprehensive one of a large. */
const SECONDS = [1, 5, 15, 60, 300, 900, 3_600, 4 * 3_600, 24 * 3_600];
const VERDICTS: RunVerdict[] = ['equal', 'different', 'incomplete'];
/** What makes two tables hold other rows. */
const ROW_KINDS: FindingKind[] = ['missing', 'extra', 'changed', 'count'];

const OF_RUN = ['reconciliation', 'level'] as const;
const OF_TABLE = ['schema', 'table'] as const;

export function reconciliationMetrics(registry: Registry): ReconciliationObserver {
  const registers = [registry];
  const found = new Counter({
    name: 'godwit_reconciliation_found_total',
    help: 'Differences that runs have found',
    labelNames: ['reconciliation', ...OF_TABLE, 'kind'],
    registers,
  });
  const repaired = new Counter({
    name: 'godwit_reconciliation_repaired_total',
    help: 'Rows that repairs have mended, and verified',
    labelNames: ['reconciliation', ...OF_TABLE, 'kind'],
    registers,
  });
  const findings = new Gauge({
    name: 'godwit_reconciliation_findings',
    help: 'Differences that the last run found, without those that were accepted',
    labelNames: [...OF_RUN, ...OF_TABLE, 'kind'],
    registers,
  });
  const accepted = new Gauge({
    name: 'godwit_reconciliation_accepted',
    help: 'Differences that the last run found, and that a person has said may stay',
    labelNames: [...OF_RUN, ...OF_TABLE, 'kind'],
    registers,
  });
  const differing = new Gauge({
    name: 'godwit_reconciliation_differing_ratio',
    help: 'Share of the rows compared that differed, and were not accepted, in the last run that compared all or a sample of them, 0 to 1',
    labelNames: [...OF_RUN, ...OF_TABLE],
    registers,
  });
  const rows = new Counter({
    name: 'godwit_reconciliation_rows_compared_total',
    help: 'Rows that runs have compared',
    labelNames: [...OF_RUN],
    registers,
  });
  const seconds = new Histogram({
    name: 'godwit_reconciliation_run_seconds',
    help: 'How long runs took',
    labelNames: [...OF_RUN],
    buckets: SECONDS,
    registers,
  });
  const lastRun = new Gauge({
    name: 'godwit_reconciliation_last_run_timestamp_seconds',
    help: 'When the last run ended, seconds since the epoch',
    labelNames: [...OF_RUN],
    registers,
  });
  const verdict = new Gauge({
    name: 'godwit_reconciliation_last_verdict',
    help: 'Verdict of the last run: 1 for the one that it is',
    labelNames: [...OF_RUN, 'verdict'],
    registers,
  });
  const waiting = new Gauge({
    name: 'godwit_reconciliation_review_waiting',
    help: 'Items of the review queue that wait for a person',
    labelNames: ['reconciliation'],
    registers,
  });
  const last = {
    findings: new LastRun(findings),
    accepted: new LastRun(accepted),
    differing: new LastRun(differing),
  };

  return {
    ended(summary, tables) {
      if (summary.outcome === 'skipped') return;
      const { reconciliation, level } = summary;
      const run = { reconciliation, level };
      last.findings.begin(run);
      for (const { schema, table, kind, count } of countsOf(summary, tables)) {
        found.inc({ reconciliation, schema, table, kind }, count);
        const open = count - (tables.find((one) => isOf(one, { schema, table }))?.accepted?.[kind] ?? 0);
        if (open > 0) last.findings.add(run, { ...run, schema, table, kind }, open);
      }
      last.accepted.begin(run);
      for (const { schema, table, kind, count } of acceptedIn(tables)) {
        last.accepted.add(run, { ...run, schema, table, kind }, count);
      }
      const shares = tables.flatMap((one) => {
        const share = shareOf(one);
        return share === null ? [] : [{ schema: one.schema, table: one.name, share }];
      });
      // An incremental run says nothing of the rows that it left alone.
      if (shares.length > 0) last.differing.begin(run);
      for (const { share, ...table } of shares) last.differing.add(run, { ...run, ...table }, share);
      rows.inc(run, summary.rows);
      seconds.observe(run, summary.tookMs / 1_000);
      for (const one of VERDICTS) verdict.set({ ...run, verdict: one }, summary.verdict === one ? 1 : 0);
      lastRun.set(run, Date.parse(summary.at) / 1_000);
    },
    repaired(reconciliation, { schema, name }, kind, count) {
      repaired.inc({ reconciliation, schema, table: name, kind }, count);
    },
    waiting(reconciliation, items) {
      waiting.set({ reconciliation }, items);
    },
  };
}

const isOf = (one: RunTable, { schema, table }: { schema: string; table: string }): boolean =>
  one.schema === schema && one.name === table;

/** Null: not all, or no sample of all its rows was compared. */
function shareOf({ how, rows, findings, accepted }: RunTable): number | null {
  if (how !== 'all' && how !== 'sample') return null;
  const differing = ROW_KINDS.reduce((sum, kind) => sum + (findings[kind] ?? 0) - (accepted?.[kind] ?? 0), 0);
  return differing === 0 ? 0 : differing / Math.max(rows, differing);
}

/** Series of the last run only: those of the run before go, or a table that is well again would stay ill. */
class LastRun<L extends string> {
  readonly #series = new Map<string, LabelValues<L>[]>();

  constructor(readonly gauge: Gauge<L>) {}

  begin(run: object): void {
    const key = JSON.stringify(run);
    for (const labels of this.#series.get(key) ?? []) this.gauge.remove(labels);
    this.#series.set(key, []);
  }

  add(run: object, labels: LabelValues<L>, value: number): void {
    this.gauge.inc(labels, value);
    this.#series.get(JSON.stringify(run))?.push(labels);
  }
}
