/** What a run finds, one by one, before it is counted. */
import type { FindingKind, FindingSeverity, NormalSeverity } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';

export interface Finding {
  kind: FindingKind;
  /** Empty: of the database. */
  schema: string;
  table: string;
  /** Columns of the key as text, or the row's hash; null: no single row. */
  key: string[] | null;
  /** Those that differ. */
  columns: string[] | null;
  /** Where it is, if on one side only. */
  side: Primary | null;
  /** Rows that it stands for. */
  count: number;
  detail: string;
}

/** What could not be told, and why: the verdict is `incomplete`. */
export interface NotChecked {
  what: string;
  why: string;
}

const SEVERITY: Record<FindingKind, FindingSeverity> = {
  missing: 'medium',
  extra: 'medium',
  changed: 'medium',
  count: 'medium',
  duplicate: 'medium',
  dangling: 'high',
  temporal: 'low',
  drift: 'low',
  business: 'high',
};

/**
 * What the specification says of the kind, or of the rule; else what is usual, and at least high where one table has more than
 * `highAbove` of it.
 */
export function severityOf(
  kind: FindingKind,
  count: number,
  { kinds, highAbove }: NormalSeverity,
  own: FindingSeverity | null = null,
): FindingSeverity {
  const said = own ?? kinds[kind];
  if (said !== undefined) return said;
  return count > highAbove && SEVERITY[kind] !== 'critical' ? 'high' : SEVERITY[kind];
}
