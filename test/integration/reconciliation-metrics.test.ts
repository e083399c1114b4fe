/** Figures of reconciliations as Prometheus sees them, and the alerts that we ship, judged by promtool. */
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { observed, observeReconciliations } from '../../activities/reconciliation/observer.js';
import type { FindingCount, RunTable } from '../../spec/reconciliation.js';
import { makeMetrics } from '../../workers/metrics.js';
import { testRules } from '../support/promtool.js';
import { runSummary } from '../support/run-summary.js';

const RULES = fileURLToPath(new URL('../../docs/alerts/reconciliation.rules.yaml', import.meta.url));

afterAll(() => observeReconciliations(null));

const count = (table: string, kind: FindingCount['kind'], many: number): FindingCount => ({
  kind,
  severity: 'medium',
  schema: 'public',
  table,
  count: many,
});

const table = (name: string, how: RunTable['how'], rows: number, findings: RunTable['findings'] = {}): RunTable => ({
  schema: 'public',
  name,
  how,
  note: null,
  rows,
  bytes: 8 * rows,
  late: 0,
  findings,
  tookMs: 100,
});

async function series(metrics: ReturnType<typeof makeMetrics>): Promise<string[]> {
  return (await metrics.registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('godwit_reconciliation_') && !line.includes('_bucket'))
    .map((line) =>
      line.replace('godwit_reconciliation_', '').replaceAll('reconciliation="shop",level="comprehensive"', '…'),
    );
}

test('found and repaired are counted; the share that differs and the findings are those of the last run', async () => {
  const metrics = makeMetrics();
  observeReconciliations(metrics.reconciliations);
  observed().ended(
    runSummary({
      found: [
        count('item', 'changed', 40),
        { ...count('item', 'changed', 10), severity: 'high' },
        count('item', 'drift', 1),
        { ...count('', 'drift', 2), schema: '' },
      ],
    }),
    [table('item', 'all', 500, { changed: 50, drift: 1 }), table('empty', 'all', 0, { extra: 3 })],
  );
  observed().repaired('shop', { schema: 'public', name: 'item' }, 'changed', 50);
  observed().waiting('shop', 7);
  const first = await series(metrics);
  expect(first).toContain('found_total{reconciliation="shop",schema="public",table="item",kind="changed"} 50');
  expect(first).toContain('repaired_total{reconciliation="shop",schema="public",table="item",kind="changed"} 50');
  expect(first).toContain('findings{…,schema="public",table="item",kind="changed"} 50');
  // The summary's list ends somewhere; what it has not, its tables have. What belongs to no table, only it has.
  expect(first).toContain('findings{…,schema="public",table="empty",kind="extra"} 3');
  expect(first).toContain('findings{…,schema="",table="",kind="drift"} 2');
  expect(first).toContain('differing_ratio{…,schema="public",table="item"} 0.1');
  expect(first).toContain('differing_ratio{…,schema="public",table="empty"} 1');
  expect(first).toContain('review_waiting{reconciliation="shop"} 7');
  expect(first).toContain('last_verdict{…,verdict="different"} 1');
  expect(first).toContain('rows_compared_total{…} 1000');
  expect(first).toContain('run_seconds_sum{…} 2');
  expect(first).toContain(`last_run_timestamp_seconds{…} ${Date.parse('2026-01-01T00:00:00Z') / 1_000}`);

  // An incremental run finds nothing more: its findings are none, and what share differs it can't say.
  observed().ended(runSummary({ verdict: 'equal', incremental: true, rows: 5 }), [table('item', 'touched', 5)]);
  observed().ended(runSummary({ outcome: 'skipped', why: 'another run goes on' }), []);
  const second = await series(metrics);
  expect(second.filter((line) => line.startsWith('findings'))).toEqual([]);
  expect(second).toContain('found_total{reconciliation="shop",schema="public",table="item",kind="changed"} 50');
  expect(second).toContain('differing_ratio{…,schema="public",table="item"} 0.1');
  expect(second).toContain('last_verdict{…,verdict="equal"} 1');
  expect(second).toContain('last_verdict{…,verdict="different"} 0');
  expect(second).toContain('run_seconds_count{…} 2');
});

const RUN = 'job="godwit",reconciliation="shop",level="comprehensive"';
const ofRun = { reconciliation: 'shop', level: 'comprehensive' };

test('what was accepted is told apart, and is in nothing that alerts look at', async () => {
  const metrics = makeMetrics();
  observeReconciliations(metrics.reconciliations);
  const item = table('item', 'all', 500, { changed: 150, extra: 2 });
  observed().ended(runSummary({ found: [count('item', 'changed', 150), count('item', 'extra', 2)], accepted: 150 }), [
    { ...item, accepted: { changed: 150 } },
  ]);
  const first = await series(metrics);
  expect(first).toContain('found_total{reconciliation="shop",schema="public",table="item",kind="changed"} 150');
  expect(first).toContain('accepted{…,schema="public",table="item",kind="changed"} 150');
  expect(first.filter((line) => line.startsWith('findings'))).toEqual([
    'findings{…,schema="public",table="item",kind="extra"} 2',
  ]);
  expect(first).toContain('differing_ratio{…,schema="public",table="item"} 0.004');

  observed().ended(runSummary({ found: [count('item', 'changed', 150)] }), [
    table('item', 'all', 500, { changed: 150 }),
  ]);
  const second = await series(metrics);
  expect(second.filter((line) => line.startsWith('accepted'))).toEqual([]);
  expect(second).toContain('findings{…,schema="public",table="item",kind="changed"} 150');
});

test('more than 100 differences for 5 minutes alert, by the newest run, whichever worker ran it', async () => {
  const findings = (instance: string, kind: string, values: string) => ({
    series: `godwit_reconciliation_findings{${RUN},instance="${instance}",schema="public",table="item",kind="${kind}"}`,
    values,
  });
  const lastRun = (instance: string, values: string) => ({
    series: `godwit_reconciliation_last_run_timestamp_seconds{${RUN},instance="${instance}"}`,
    values,
  });
  const alert = (value: number) => ({
    exp_labels: { ...ofRun, severity: 'warning' },
    exp_annotations: { summary: `shop: ${value} differences in the last comprehensive run` },
  });
  const said = await testRules(RULES, [
    {
      // Kinds count together; the other worker ran before, and found none.
      input_series: [
        findings('a', 'missing', '60x80'),
        findings('a', 'changed', '41x80'),
        lastRun('a', '2000x80'),
        lastRun('b', '1000x80'),
      ],
      alert_rule_test: [
        { eval_time: '4m', alertname: 'GodwitReconciliationManyDifferences', exp_alerts: [] },
        { eval_time: '6m', alertname: 'GodwitReconciliationManyDifferences', exp_alerts: [alert(101)] },
      ],
    },
    {
      // At 10 minutes another worker runs, and finds all well.
      input_series: [findings('a', 'missing', '500x80'), lastRun('a', '1000x80'), lastRun('b', '_x39 2000x40')],
      alert_rule_test: [
        { eval_time: '9m', alertname: 'GodwitReconciliationManyDifferences', exp_alerts: [alert(500)] },
        { eval_time: '11m', alertname: 'GodwitReconciliationManyDifferences', exp_alerts: [] },
      ],
    },
    {
      input_series: [findings('a', 'missing', '100x80'), lastRun('a', '1000x80')],
      alert_rule_test: [{ eval_time: '15m', alertname: 'GodwitReconciliationManyDifferences', exp_alerts: [] }],
    },
  ]);
  expect(said).toBe('');
});

test('more than 5 % of a table for 10 minutes, and more than 10 repairs a second, alert', async () => {
  const share = (name: string, values: string) => ({
    series: `godwit_reconciliation_differing_ratio{${RUN},instance="a",schema="public",table="${name}"}`,
    values,
  });
  const repaired = (name: string, values: string) => ({
    series: `godwit_reconciliation_repaired_total{job="godwit",instance="a",reconciliation="shop",schema="public",table="${name}",kind="missing"}`,
    values,
  });
  const said = await testRules(RULES, [
    {
      input_series: [
        share('item', '0.06x80'),
        share('customer', '0.05x80'),
        { series: `godwit_reconciliation_last_run_timestamp_seconds{${RUN},instance="a"}`, values: '1000x80' },
      ],
      alert_rule_test: [
        { eval_time: '9m', alertname: 'GodwitReconciliationDrift', exp_alerts: [] },
        {
          eval_time: '11m',
          alertname: 'GodwitReconciliationDrift',
          exp_alerts: [
            {
              exp_labels: { ...ofRun, schema: 'public', table: 'item', severity: 'critical' },
              exp_annotations: { summary: 'shop: 6% of the rows of public.item differ' },
            },
          ],
        },
      ],
    },
    {
      // 8 and 4 a second are 12; 8 alone are none.
      input_series: [repaired('item', '0+120x80'), repaired('customer', '0x20 60+60x60')],
      alert_rule_test: [
        { eval_time: '4m', alertname: 'GodwitReconciliationManyRepairs', exp_alerts: [] },
        {
          eval_time: '10m',
          alertname: 'GodwitReconciliationManyRepairs',
          exp_alerts: [
            {
              exp_labels: { reconciliation: 'shop', severity: 'warning' },
              exp_annotations: { summary: 'shop: 12 rows a second are repaired' },
            },
          ],
        },
      ],
    },
  ]);
  expect(said).toBe('');
});
