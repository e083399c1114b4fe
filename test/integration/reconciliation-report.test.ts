/** Reports from what runs keep in the target: figures and findings, never a row, whatever the names of tables hold. */
import { readFileSync } from 'node:fs';
import { XMLValidator } from 'fast-xml-parser';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  dailySummary,
  htmlReport,
  markdownReport,
  runReport,
  summaryOfDay,
} from '../../activities/reconciliation/report/index.js';
import type { FindingKind, NormalReconciliation, RunSummary, RunTable } from '../../spec/reconciliation.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { normalReconciliation } from '../support/checked.js';

const STATE = readFileSync(new URL('../../activities/reconciliation/sql/state.sql', import.meta.url), 'utf8');

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

const HOSTILE = `<script>alert("1")</script> & 'it' | *`;

interface Kept {
  normal: NormalReconciliation;
  on: (sql: string, values?: unknown[]) => Promise<unknown>;
}

async function target(change: Partial<NormalReconciliation> = {}): Promise<Kept> {
  const name = fresh('reports');
  await pair.target.createDatabase(name);
  const on = (sql: string, values: unknown[] = []): Promise<unknown> => pair.target.query(sql, values, name);
  await on(STATE);
  return { normal: normalReconciliation({ move: moveOf(pair, name) }, { name: 'shop', ...change }), on };
}

const table = (name: string, rows: number, tookMs: number, findings: RunTable['findings'] = {}): RunTable => ({
  schema: 'public',
  name,
  how: 'all',
  note: null,
  rows,
  bytes: rows * 100,
  late: 0,
  findings,
  tookMs,
});

/** Keeps a run that ended at `at`, as runs do. */
async function keep(
  { normal, on }: Kept,
  run: string,
  at: string,
  tables: RunTable[],
  change: Partial<RunSummary> = {},
): Promise<void> {
  const sum = (of: (one: RunTable) => number): number => tables.reduce((total, one) => total + of(one), 0);
  const found = tables.flatMap((one) =>
    Object.entries(one.findings).map(([kind, count]) => ({
      kind: kind as FindingKind,
      severity: 'medium' as const,
      schema: one.schema,
      table: one.name,
      count,
    })),
  );
  const summary: RunSummary = {
    run,
    reconciliation: normal.name,
    level: 'comprehensive',
    outcome: 'done',
    why: null,
    verdict: found.length === 0 ? 'equal' : 'different',
    primary: 'source',
    incremental: false,
    lsn: '1/ABCDEF',
    at,
    tookMs: sum((one) => one.tookMs),
    tables: tables.length,
    tablesNotCompared: 0,
    rows: sum((one) => one.rows),
    bytes: sum((one) => one.bytes),
    late: 2,
    suspects: 0,
    found,
    repaired: 1,
    queued: 1,
    remaining: found.reduce((total, { count }) => total + count, 0),
    certificate: run,
    ...change,
  };
  await on(
    `insert into godwit.reconciliation_run (run, reconciliation, level, workflow, state, started_at, ended_at, summary, tables, certificate)
     values ($1, $2, $3, 'w', 'done', $4::timestamptz - interval '1 minute', $4, $5, $6, '{"digest": "d1f6", "notChecked": [{"what": "rule *", "why": "too slow"}]}')`,
    [run, normal.name, summary.level, at, JSON.stringify(summary), JSON.stringify(tables)],
  );
}

async function finding(
  { on }: Kept,
  run: string,
  values: { kind: FindingKind; table: string; key?: string[]; detail?: string; state?: string; count?: number },
): Promise<void> {
  const { kind, table: name, key = null, detail = '', state = 'confirmed', count = 1 } = values;
  await on(
    `insert into godwit.reconciliation_finding (run, kind, severity, schema_name, table_name, key, detail, state, count)
     values ($1, $2, 'medium', 'public', $3, $4, $5, $6, $7)`,
    [run, kind, name, key, detail, state, count],
  );
}

test('a report holds figures, findings together, repairs and the queue; keys only on request, masked ones never', async () => {
  const kept = await target({ columns: [{ tables: '*.person', exclude: [], mask: ['email'] }] });
  const { normal, on } = kept;
  await on(`create table person (tenant int, email text, name text, primary key (tenant, email))`);
  const tables = [table('person', 1_000, 4_000, { changed: 3 }), table(HOSTILE, 10, 10, { drift: 1 })];
  await keep(kept, 'run-1', '2026-01-05T10:00:00Z', tables);
  for (const email of ['ada@example.com', 'bob@example.com', 'eve@example.com']) {
    await finding(kept, 'run-1', { kind: 'changed', table: 'person', key: ['7', email] });
  }
  await finding(kept, 'run-1', { kind: 'drift', table: HOSTILE, detail: `column ${HOSTILE} is on the source only` });
  await on(`
    insert into godwit.reconciliation_review (reconciliation, finding, why, truth, on_expiry)
      select 'shop', min(id), 'deletion', 'source', 'reject' from godwit.reconciliation_finding;
    insert into godwit.reconciliation_repair (repair, run, what, by_whom, state, summary)
      values ('fix-1', 'run-1', 'all', 'ada', 'done', '{"inserted": 4, "updated": 5, "deleted": 6, "refused": 7}')`);

  const report = await runReport(normal, null);
  expect(report).toMatchObject({
    run: 'run-1',
    level: 'comprehensive',
    summary: { verdict: 'different', rows: 1_010 },
    tables: [{ name: 'person', rowsPerSecond: 250 }, { name: HOSTILE }],
    findings: [
      { table: HOSTILE, kind: 'drift', count: 1 },
      { table: 'person', kind: 'changed', count: 3, state: 'confirmed' },
    ],
    cut: false,
    keys: null,
    review: { ofRun: { waiting: 1 }, waiting: 1 },
    repairs: [{ repair: 'fix-1', by: 'ada', summary: { deleted: 6 } }],
    trend: { points: [{ run: 'run-1', differences: 4 }], moved: [] },
    digest: 'd1f6',
    notChecked: [{ what: 'rule *', why: 'too slow' }],
  });
  expect(markdownReport(report)).toContain('\n## Not checked\n\n- rule \\*: too slow\n');
  expect(htmlReport(report)).toContain('<td class="text">rule *</td><td class="text">too slow</td>');
  const all = [JSON.stringify(report), markdownReport(report), htmlReport(report)].join('\n');
  expect(all).not.toContain('example.com');

  const named = await runReport(normal, 'run-1', { keys: 2 });
  expect(named.keys?.map(({ key }) => key)).toEqual([
    ['7', '•••'],
    ['7', '•••'],
  ]);
  expect([JSON.stringify(named), markdownReport(named), htmlReport(named)].join('\n')).not.toContain('example.com');
});

test('whatever names hold, markdown shows them and a page runs none of it', async () => {
  const kept = await target();
  for (const day of ['04', '05']) {
    await keep(kept, `run-${day}`, `2026-01-${day}T10:00:00Z`, [
      table(HOSTILE, 1_000 * Number(day), 2_000, { changed: Number(day) }),
      table('plain', 10, 2_000),
    ]);
  }
  await finding(kept, 'run-05', { kind: 'business', table: HOSTILE, detail: `rule ${HOSTILE}\n{{body}}` });
  const report = await runReport(kept.normal, 'run-05', { keys: 10 });
  const page = htmlReport(report);
  expect(page).not.toContain('<script');
  expect(page).toContain(`default-src 'none'`);
  expect(page).not.toMatch(/(src|href)=/);
  expect(page.match(/<body/g)).toHaveLength(1);
  const plots = page.match(/<svg[^]*?<\/svg>/g) ?? [];
  // Differences, rows, time, throughput: by table, and over the days.
  expect(plots).toHaveLength(8);
  for (const plot of plots) expect(XMLValidator.validate(plot)).toBe(true);
  expect(XMLValidator.validate(page.slice(page.indexOf('<body'), page.indexOf('</body>') + 7))).toBe(true);
  expect(page).toContain('&#60;script&#62;');

  const markdown = markdownReport(report);
  expect(markdown).toContain(String.raw`public.\<script\>alert("1")\</script\> & 'it' \| \*`);
  const lines = markdown.split('\n').filter((line) => line.startsWith('|'));
  const columns = (line: string): number => line.replaceAll(/\\./g, '').split('|').length;
  expect(new Set(lines.slice(0, 3).map(columns))).toEqual(new Set([9]));
});

test('the trend compares with the median of the same runs of seven days, and names what moved by more than 20 %', async () => {
  const kept = await target();
  const run = (id: string, at: string, rows: number, ms: number, changed: number, change: Partial<RunSummary> = {}) =>
    keep(kept, id, at, [table('item', rows, ms, changed === 0 ? {} : { changed })], change);
  await run('too-old', '2026-01-01T09:00:00Z', 1, 9_000_000, 0);
  await run('a', '2026-01-02T10:00:00Z', 1_000, 10_000, 0);
  await run('b', '2026-01-04T10:00:00Z', 1_100, 10_000, 0);
  await run('other-level', '2026-01-05T10:00:00Z', 5, 5, 0, { level: 'quick' });
  await run('incremental', '2026-01-05T11:00:00Z', 5, 5, 0, { incremental: true });
  await run('skipped', '2026-01-05T12:00:00Z', 5, 5, 0, { outcome: 'skipped' });
  await run('c', '2026-01-06T10:00:00Z', 1_200, 10_000, 0);
  await run('now', '2026-01-08T09:30:00Z', 1_200, 20_000, 12);
  await run('later', '2026-01-09T10:00:00Z', 9, 9, 0);
  const { trend } = await runReport(kept.normal, 'now');
  expect(trend.points.map((point) => point.run)).toEqual(['a', 'b', 'c', 'now']);
  const moved = [
    { figure: 'differences', was: 0, now: 12, change: null },
    { figure: 'tookMs', was: 10_000, now: 20_000, change: 1 },
    { figure: 'rowsPerSecond', was: 110, now: 60, change: (60 - 110) / 110 },
  ];
  expect(trend.moved).toEqual([
    ...moved.map((one) => ({ table: null, ...one })),
    ...moved.map((one) => ({ table: 'public.item', ...one })),
  ]);
  expect(markdownReport(await runReport(kept.normal, 'now'))).toContain('- public.item: time 10s → 20s (+100 %)');
});

test('a run that goes on or failed is told as such; one that there is not, with what is known', async () => {
  const kept = await target();
  const { normal, on } = kept;
  await expect(runReport(normal, null)).rejects.toMatchObject({
    type: 'InvalidSpec',
    message: expect.stringContaining('has not run yet') as string,
  });
  await on(
    `insert into godwit.reconciliation_run (run, reconciliation, level, workflow, state) values ('on', 'shop', 'quick', 'w', 'running')`,
  );
  expect(markdownReport(await runReport(normal, null))).toContain('# shop: still running');
  await on(`update godwit.reconciliation_run set state = 'failed', ended_at = now()`);
  expect(htmlReport(await runReport(normal, 'on'))).toContain('<h1>shop: failed</h1>');
  await expect(runReport(normal, 'off')).rejects.toMatchObject({
    message: expect.stringContaining('has no run off') as string,
  });
  await on('drop schema godwit cascade');
  await expect(runReport(normal, null)).rejects.toMatchObject({ type: 'InvalidSpec' });
});

test('a day in short: by level, what was found and done, and what waits', async () => {
  const kept = await target();
  const { normal, on } = kept;
  await keep(kept, 'before', '2026-01-04T23:59:00Z', [table('item', 1, 1)]);
  await keep(kept, 'one', '2026-01-05T00:00:30Z', [table('item', 1_000, 2_000, { missing: 2, drift: 1 })]);
  await keep(kept, 'two', '2026-01-05T12:00:00Z', [table('item', 1_000, 3_000)], { remaining: 0 });
  await keep(kept, 'skipped', '2026-01-05T13:00:00Z', [], { outcome: 'skipped', level: 'quick' });
  await keep(kept, 'after', '2026-01-06T00:00:00Z', [table('item', 1, 1)]);
  await on(`insert into godwit.reconciliation_run (run, reconciliation, level, workflow, state, started_at)
            values ('dead', 'shop', 'deep', 'w', 'failed', '2026-01-05T02:00:00Z')`);
  const day = await summaryOfDay(normal, '2026-01-05');
  const text = await dailySummary(normal, '2026-01-05');
  expect(day.levels).toMatchObject([
    {
      level: 'comprehensive',
      runs: 2,
      verdicts: { equal: 1, different: 1, incomplete: 0 },
      rows: 2_000,
      found: { missing: 2, drift: 1 },
      repaired: 2,
      longestMs: 3_000,
      last: { run: 'two', verdict: 'equal', remaining: 0 },
    },
    { level: 'deep', runs: 0, failed: 1, last: null },
    { level: 'quick', runs: 0, skipped: 1 },
  ]);
  expect(text).toContain('- runs: 2 (1 equal, 1 different)\n');
  expect(text).toContain('- found: 2 missing, 1 drift\n');
  expect(await dailySummary(normal, '2026-02-01')).toContain('No run ended on this day.');
});
