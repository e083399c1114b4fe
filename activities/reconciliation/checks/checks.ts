/** Which checks belong to which level. */
import type { Level, NormalReconciliation } from '../../../spec/reconciliation.js';
import type { Primary } from '../../../spec/status.js';
import type { Session } from '../../postgres/session.js';
import type { TableName } from '../../postgres/statements.js';
import type { Finding, NotChecked } from '../findings.js';

export interface CheckRun {
  source: Session;
  target: Session;
  primary: Primary;
  tables: TableName[];
  normal: NormalReconciliation;
  /** True once the standby has applied all that the primary had committed at the call. */
  caughtUp: (timeoutMs: number) => Promise<boolean>;
  signal: AbortSignal;
}

export interface Checked {
  findings: Finding[];
  notChecked: NotChecked[];
}

export interface NamedCheck {
  name: string;
  check: (run: CheckRun) => Promise<Checked>;
}

const CHECKS: Record<Level, NamedCheck[]> = { quick: [], comprehensive: [], deep: [], business: [] };

export const checksOf = (level: Level): NamedCheck[] => CHECKS[level];
