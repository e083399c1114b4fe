/**
 * What a reconciliation finds, and what the checks that find it are given. A check never guesses: what it could not look at,
 * or could not prove under live writes, it says as not checked, and the run is incomplete.
 */
import type {
  FindingKind,
  FindingSeverity,
  NormalReconcileLimits,
  NormalReconciliation,
  NormalSeverity,
  ReconciledSide,
} from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import type { Session } from '../postgres/session.js';
import type { TableName } from '../postgres/statements.js';

/** What it takes to ask both sides something: a migration asks its rules so, too. */
export interface Asking {
  source: Session;
  target: Session;
  /** The side that takes the writes. */
  primary: Primary;
  /** Of a reconciliation; or as much of one. */
  normal: Pick<NormalReconciliation, 'name'> &
    Record<Primary, Pick<ReconciledSide, 'url'>> & { limits: Pick<NormalReconcileLimits, 'statementTimeout'> };
  /**
   * Where the user writes `limits.statementTimeout`.
   * @default limits.statementTimeout
   */
  timeoutSetting?: string;
  /** True once the standby has applied all that the primary had committed at the call; false after the time given. */
  caughtUp: (timeoutMs: number) => Promise<boolean>;
  /** Looked at between statements, each of which ends by `limits.statementTimeout`. */
  signal: AbortSignal;
}

export interface CheckRun extends Asking {
  tables: TableName[];
  normal: NormalReconciliation;
}

export interface Finding {
  kind: FindingKind;
  /** Empty: of no single table. */
  schema: string;
  table: string;
  /** Columns of the key as text. Null: no single row. */
  key: string[] | null;
  /** What it is about, where it is about columns. */
  columns: string[] | null;
  /** The side that it is on, where it is on one only. */
  side: Primary | null;
  /** Rows that it stands for. */
  count: number;
  /** In words, and never a value of a row. */
  detail: string;
  /** Its own, where its kind says too little: for `severityOf`. */
  severity?: FindingSeverity;
}

/** Neither well nor a finding. */
export interface NotChecked {
  what: string;
  why: string;
}

export interface Checked {
  findings: Finding[];
  notChecked: NotChecked[];
}

export type Check = (run: CheckRun) => Promise<Checked>;

/** Of each check and table, so many rows are named by their keys; the rest is one finding with their count. */
export const NAMED_ROWS = 1_000;

/** `low` is worth knowing, and makes no run different. */
const USUALLY: Record<FindingKind, FindingSeverity> = {
  missing: 'medium',
  extra: 'medium',
  changed: 'medium',
  count: 'medium',
  duplicate: 'medium',
  dangling: 'high',
  business: 'high',
  temporal: 'medium',
  drift: 'medium',
};

/**
 * @param count findings of this kind in this table
 * @param own of the finding or its rule: it stays whatever the count is
 */
export function severityOf(
  kind: FindingKind,
  count: number,
  settings: NormalSeverity,
  own?: FindingSeverity | null,
): FindingSeverity {
  if (own != null) return own;
  const severity = settings.kinds[kind] ?? USUALLY[kind];
  const low = severity === 'low' || severity === 'medium';
  return low && count > settings.highAbove ? 'high' : severity;
}

/** Findings with their severities, each by how many of its kind there are in its table. */
export function judged(findings: Finding[], settings: NormalSeverity): (Finding & { severity: FindingSeverity })[] {
  const keyOf = ({ kind, schema, table }: Finding): string => JSON.stringify([kind, schema, table]);
  const counts = new Map<string, number>();
  for (const one of findings) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + one.count);
  return findings.map((one) => ({
    ...one,
    severity: severityOf(one.kind, counts.get(keyOf(one)) ?? one.count, settings, one.severity),
  }));
}
