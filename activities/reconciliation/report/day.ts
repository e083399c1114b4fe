/** All that a reconciliation did on one day, for whoever comes in the morning. */
import type {
  FindingKind,
  Level,
  NormalReconciliation,
  RunSummary,
  RunTable,
  RunVerdict,
} from '../../../spec/reconciliation.js';
import { Session } from '../../postgres/session.js';
import { statement } from '../../postgres/statements.js';
import { countsOf } from '../counts.js';
import { hasRuns } from './report.js';
import { duration, markdown, number } from './words.js';

const DAY = statement(import.meta.url, './sql/day.sql');

export interface DayOfLevel {
  level: Level;
  runs: number;
  verdicts: Record<RunVerdict, number>;
  skipped: number;
  failed: number;
  running: number;
  rows: number;
  found: Partial<Record<FindingKind, number>>;
  repaired: number;
  queued: number;
  longestMs: number;
  /** Of the last run that ended. */
  last: { run: string; verdict: RunVerdict; remaining: number; accepted: number } | null;
}

export interface DailySummary {
  version: 1;
  reconciliation: string;
  /** In UTC. */
  day: string;
  levels: DayOfLevel[];
  /** Items of the review queue that wait now. */
  waiting: number;
}

interface RunRow extends Record<string, unknown> {
  run: string;
  level: Level;
  state: 'running' | 'done' | 'failed';
  summary: RunSummary | null;
  tables: RunTable[] | null;
}

/** @param day as `2026-01-31`, in UTC */
export async function summaryOfDay(normal: NormalReconciliation, day: string): Promise<DailySummary> {
  await using session = await Session.open('target', normal.target.url, { purpose: `${normal.name} report` });
  const known = await hasRuns(session);
  const runs = known ? await session.rows<RunRow>(DAY, [normal.name, day]) : [];
  const queue = known
    ? await session.row<{ waiting: number }>(
        `select count(*)::int as waiting from godwit.reconciliation_review where reconciliation = $1 and state = 'waiting'`,
        [normal.name],
      )
    : undefined;
  const levels = [...new Set(runs.map(({ level }) => level))];
  return {
    version: 1,
    reconciliation: normal.name,
    day,
    levels: levels.map((level) =>
      ofLevel(
        level,
        runs.filter((one) => one.level === level),
      ),
    ),
    waiting: queue?.waiting ?? 0,
  };
}

function ofLevel(level: Level, runs: RunRow[]): DayOfLevel {
  const ended = runs.flatMap(({ summary }) => (summary === null ? [] : [summary]));
  const done = ended.filter(({ outcome }) => outcome === 'done');
  const sum = (of: (summary: RunSummary) => number): number => done.reduce((total, one) => total + of(one), 0);
  const verdicts: Record<RunVerdict, number> = { equal: 0, different: 0, incomplete: 0 };
  const found: Partial<Record<FindingKind, number>> = {};
  for (const { summary, tables } of runs) {
    if (summary === null || summary.outcome === 'skipped') continue;
    verdicts[summary.verdict] += 1;
    for (const { kind, count } of countsOf(summary, tables ?? [])) found[kind] = (found[kind] ?? 0) + count;
  }
  const last = done.at(-1);
  return {
    level,
    runs: done.length,
    verdicts,
    skipped: ended.length - done.length,
    failed: runs.filter(({ state }) => state === 'failed').length,
    running: runs.filter(({ state }) => state === 'running').length,
    rows: sum(({ rows }) => rows),
    found,
    repaired: sum(({ repaired }) => repaired),
    queued: sum(({ queued }) => queued),
    longestMs: Math.max(0, ...done.map(({ tookMs }) => tookMs)),
    last:
      last === undefined
        ? null
        : { run: last.run, verdict: last.verdict, remaining: last.remaining, accepted: last.accepted ?? 0 },
  };
}

/** `summaryOfDay` as markdown. */
export const dailySummary = async (normal: NormalReconciliation, day: string): Promise<string> =>
  markdownSummary(await summaryOfDay(normal, day));

function markdownSummary({ reconciliation, day, levels, waiting }: DailySummary): string {
  return [
    `# ${markdown(reconciliation)} on ${markdown(day)}`,
    '',
    ...(levels.length === 0 ? ['No run ended on this day.', ''] : []),
    ...levels.flatMap((one) => [`## ${one.level}`, '', ...linesOf(one).map((line) => `- ${line}`), '']),
    `${number(waiting)} items of the review queue wait for a person.`,
    '',
  ].join('\n');
}

function linesOf(one: DayOfLevel): string[] {
  const parts = (counts: Partial<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count !== undefined && count > 0)
      .map(([name, count]) => `${number(count ?? 0)} ${name}`)
      .join(', ') || 'nothing';
  const beside = parts({ skipped: one.skipped, failed: one.failed, 'still running': one.running });
  return [
    `runs: ${number(one.runs)} (${parts(one.verdicts)})${beside === 'nothing' ? '' : `; ${beside}`}`,
    `rows compared: ${number(one.rows)}; longest run ${duration(one.longestMs)}`,
    `found: ${parts(one.found)}`,
    `repaired: ${number(one.repaired)}; put into the review queue: ${number(one.queued)}`,
    ...(one.last === null
      ? []
      : [
          `last run: ${markdown(one.last.run)}, ${one.last.verdict}, ${number(one.last.remaining)} remaining, ${number(one.last.accepted)} accepted`,
        ]),
  ];
}
