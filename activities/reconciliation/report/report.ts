/**
 * What one run found, for people and for programs: read from the `godwit` schema of the target. Figures, and findings in
 * words; keys of rows only on request, without those of masked columns, and never another value of a row.
 */
import type {
  FindingKind,
  FindingSeverity,
  Level,
  NormalReconciliation,
  RepairSummary,
  RunSummary,
  RunTable,
} from '../../../spec/reconciliation.js';
import type { Primary } from '../../../spec/status.js';
import { failure } from '../../failure.js';
import { Session } from '../../postgres/session.js';
import { nameOf, statement, type TableName } from '../../postgres/statements.js';
import { describeSide } from '../../postgres/validation/describe.js';
import type { NotChecked } from '../findings.js';
import { ACCEPTED } from '../state.js';
import { columnsOf } from '../tables.js';
import { TREND_DAYS, trendOf, type Trend, type TrendRun } from './trend.js';

const RUN = statement(import.meta.url, './sql/run.sql');
const FINDINGS = statement(import.meta.url, './sql/findings.sql');
const KEYS = statement(import.meta.url, './sql/keys.sql');
const TREND = statement(import.meta.url, './sql/trend.sql');
const REVIEW = statement(import.meta.url, './sql/review.sql');
const REPAIRS = statement(import.meta.url, './sql/repairs.sql');

/** More than a person reads; the rest is in the counts by table and kind. */
const FINDING_LINES = 500;
const MASKED = '•••';

export interface ReportTable extends RunTable {
  rowsPerSecond: number;
  bytesPerSecond: number;
}

/** Findings that are alike, together. */
export interface ReportFinding {
  kind: FindingKind;
  severity: FindingSeverity;
  schema: string;
  table: string;
  side: Primary | null;
  state: 'confirmed' | 'accepted' | 'suspect' | 'repaired' | 'gone';
  detail: string;
  count: number;
}

export interface ReportKey extends Pick<ReportFinding, 'kind' | 'schema' | 'table' | 'side' | 'state'> {
  key: string[];
  columns: string[] | null;
}

export interface ReportRepair {
  repair: string;
  what: string;
  by: string | null;
  state: string;
  startedAt: string;
  endedAt: string | null;
  summary: RepairSummary | null;
}

/** As JSON it is the report for programs. */
export interface RunReport {
  version: 1;
  reconciliation: string;
  run: string;
  level: Level;
  state: 'running' | 'done' | 'failed';
  startedAt: string;
  endedAt: string | null;
  /** Null until it has ended. */
  summary: RunSummary | null;
  tables: ReportTable[];
  findings: ReportFinding[];
  /** Why the verdict may be `incomplete`. */
  notChecked: NotChecked[];
  /** True: there are more lines of findings than these. */
  cut: boolean;
  /** Null unless they were asked for. */
  keys: ReportKey[] | null;
  /** Items of the review queue, by state. */
  review: { ofRun: Record<string, number>; waiting: number };
  repairs: ReportRepair[];
  trend: Trend;
  /** Digest of the certificate. */
  digest: string | null;
}

export interface ReportOptions {
  /** So many keys of rows, at most; they are rows' contents. @default none */
  keys?: number;
}

interface RunRow {
  run: string;
  level: Level;
  state: RunReport['state'];
  startedAt: Date;
  endedAt: Date | null;
  summary: RunSummary | null;
  tables: RunTable[] | null;
  digest: string | null;
  notChecked: NotChecked[];
}

/**
 * @param run null: the newest that has ended
 * Fails with `InvalidSpec` if there is no such run.
 */
export async function runReport(
  normal: NormalReconciliation,
  run: string | null,
  options: ReportOptions = {},
): Promise<RunReport> {
  await using session = await Session.open('target', normal.target.url, { purpose: `${normal.name} report` });
  const found = (await hasRuns(session))
    ? await session.row<RunRow & Record<string, unknown>>(RUN, [normal.name, run])
    : undefined;
  if (found === undefined) {
    throw failure(
      'InvalidSpec',
      run === null
        ? `${normal.name} has not run yet: its target keeps no run of it`
        : `${normal.name} has no run ${run}: its target keeps none of that name`,
      'Start one, or name another run; nothing was changed',
    );
  }
  const accepted = await acceptedIds(session, found.run);
  const findings = await session.rows<ReportFinding & Record<string, unknown>>(FINDINGS, [
    found.run,
    FINDING_LINES + 1,
    accepted,
  ]);
  const review = await session.rows<{ state: string; ofRun: number; ofAll: number }>(REVIEW, [normal.name, found.run]);
  const repairs = await session.rows<ReportRepair & { startedAt: Date; endedAt: Date | null }>(REPAIRS, [found.run]);
  const trend = await session.rows<Omit<TrendRun, 'at'> & { at: Date }>(TREND, [found.run, TREND_DAYS]);
  return {
    version: 1,
    reconciliation: normal.name,
    run: found.run,
    level: found.level,
    state: found.state,
    startedAt: found.startedAt.toISOString(),
    endedAt: found.endedAt?.toISOString() ?? null,
    summary: found.summary,
    tables: (found.tables ?? []).map(withRates),
    findings: findings.slice(0, FINDING_LINES),
    notChecked: found.notChecked,
    cut: findings.length > FINDING_LINES,
    keys: options.keys === undefined ? null : await keysOf(session, normal, found.run, options.keys, accepted),
    review: {
      ofRun: Object.fromEntries(review.filter(({ ofRun }) => ofRun > 0).map(({ state, ofRun }) => [state, ofRun])),
      waiting: review.find(({ state }) => state === 'waiting')?.ofAll ?? 0,
    },
    repairs: repairs.map((repair) => ({
      ...repair,
      startedAt: repair.startedAt.toISOString(),
      endedAt: repair.endedAt?.toISOString() ?? null,
    })),
    trend: trendOf(
      trend.map((one) => ({ ...one, at: one.at.toISOString() })),
      found.run,
    ),
    digest: found.digest,
  };
}

export async function hasRuns(session: Session): Promise<boolean> {
  const known = await session.row<{ known: boolean }>(
    `select to_regclass('godwit.reconciliation_run') is not null as known`,
  );
  return known?.known ?? false;
}

async function acceptedIds(session: Session, run: string): Promise<string[]> {
  return (await session.rows<{ id: string }>(ACCEPTED, [run])).map(({ id }) => id);
}

function withRates(table: RunTable): ReportTable {
  const seconds = Math.max(table.tookMs, 1) / 1_000;
  return { ...table, rowsPerSecond: table.rows / seconds, bytesPerSecond: table.bytes / seconds };
}

async function keysOf(
  session: Session,
  normal: NormalReconciliation,
  run: string,
  most: number,
  accepted: string[],
): Promise<ReportKey[]> {
  const found = await session.rows<ReportKey & Record<string, unknown>>(KEYS, [run, most, accepted]);
  const masked = await maskedParts(session, normal, found);
  return found.map((one) => {
    const parts = masked.get(nameOf({ schema: one.schema, name: one.table })) ?? [];
    return { ...one, key: one.key.map((value, index) => (parts.includes(index) ? MASKED : value)) };
  });
}

/** Positions in the key of columns that are never shown, by table; the key of a table without one is a hash. */
async function maskedParts(
  session: Session,
  normal: NormalReconciliation,
  found: ReportKey[],
): Promise<Map<string, number[]>> {
  const names = new Map(found.map(({ schema, table }) => [nameOf({ schema, name: table }), { schema, name: table }]));
  const masksOf = (table: TableName): string[] => columnsOf(normal.columns, table, 'mask');
  const tables = [...names.values()].filter((table) => masksOf(table).length > 0);
  const shapes = await describeSide(session, tables);
  return new Map(
    tables.map((table) => {
      const key = shapes.get(nameOf(table))?.shape.key;
      // Dropped since: which columns its key was of nobody can say, so none is shown.
      if (key === undefined) return [nameOf(table), Array.from({ length: 32 }, (_, index) => index)];
      const columns = key.kind === 'none' ? [] : key.kind === 'integer' ? [key.column] : key.columns;
      const masks = masksOf(table);
      return [nameOf(table), columns.flatMap(({ name }, index) => (masks.includes(name) ? [index] : []))];
    }),
  );
}
