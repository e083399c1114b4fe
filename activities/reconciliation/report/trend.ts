/** How a run compares with those before it: the same level, incremental or not, of the last days. */
import { countsOf, totalOf } from '../counts.js';
import type { RunSummary, RunTable, RunVerdict } from '../../../spec/reconciliation.js';

export const TREND_DAYS = 7;
/** A figure that moved by more is named. */
const MOVED = 0.2;
/** Shorter than this, time and throughput move by what else the machine does. */
const MEASURED_MS = 1_000;

export interface TrendRun {
  run: string;
  at: string;
  summary: RunSummary;
  tables: RunTable[] | null;
}

export interface TrendPoint {
  run: string;
  at: string;
  verdict: RunVerdict;
  rows: number;
  differences: number;
  tookMs: number;
  rowsPerSecond: number;
}

export const FIGURES = ['rows', 'differences', 'tookMs', 'rowsPerSecond'] as const;
export type Figure = (typeof FIGURES)[number];

export interface Moved {
  /** `schema.table`; null: of the whole run. */
  table: string | null;
  figure: Figure;
  /** Median of the runs before. */
  was: number;
  now: number;
  /** 0.25: a quarter more. Null: it was 0. */
  change: number | null;
}

export interface Trend {
  days: number;
  /** Oldest first; the last is the run itself. */
  points: TrendPoint[];
  moved: Moved[];
}

type Figures = Record<Figure, number>;

export function trendOf(runs: TrendRun[], run: string): Trend {
  const now = runs.find((one) => one.run === run);
  const before = runs.filter((one) => one.run !== run);
  const points = runs.map((one) => ({
    run: one.run,
    at: one.at,
    verdict: one.summary.verdict,
    ...figuresOfRun(one),
  }));
  if (now === undefined || before.length === 0) return { days: TREND_DAYS, points, moved: [] };
  const tables = (now.tables ?? []).flatMap((table) => {
    const earlier = before.flatMap((one) => (one.tables ?? []).filter((other) => isSame(other, table)));
    return moves(`${table.schema}.${table.name}`, earlier.map(figuresOfTable), figuresOfTable(table));
  });
  const whole = moves(null, before.map(figuresOfRun), figuresOfRun(now));
  return { days: TREND_DAYS, points, moved: [...whole, ...tables] };
}

const isSame = (one: RunTable, other: RunTable): boolean => one.schema === other.schema && one.name === other.name;

const perSecond = (rows: number, tookMs: number): number => rows / (Math.max(tookMs, 1) / 1_000);

const figuresOfRun = ({ summary, tables }: TrendRun): Figures => ({
  rows: summary.rows,
  differences: totalOf(countsOf(summary, tables ?? [])),
  tookMs: summary.tookMs,
  rowsPerSecond: perSecond(summary.rows, summary.tookMs),
});

const figuresOfTable = ({ rows, tookMs, findings }: RunTable): Figures => ({
  rows,
  differences: Object.values(findings).reduce((sum, count) => sum + count, 0),
  tookMs,
  rowsPerSecond: perSecond(rows, tookMs),
});

function moves(table: string | null, before: Figures[], now: Figures): Moved[] {
  if (before.length === 0) return [];
  const was: Figures = { rows: 0, differences: 0, tookMs: 0, rowsPerSecond: 0 };
  for (const figure of FIGURES) was[figure] = median(before.map((one) => one[figure]));
  const measured = Math.max(was.tookMs, now.tookMs) >= MEASURED_MS;
  return FIGURES.flatMap((figure): Moved[] => {
    if (!measured && (figure === 'tookMs' || figure === 'rowsPerSecond')) return [];
    const [then, today] = [was[figure], now[figure]];
    if (then === today) return [];
    const change = then === 0 ? null : (today - then) / then;
    return change === null || Math.abs(change) > MOVED ? [{ table, figure, was: then, now: today, change }] : [];
  });
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return ((low ?? 0) + (high ?? 0)) / 2;
}
