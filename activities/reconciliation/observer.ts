/**
 * Who counts what reconciliations find and do: the worker's metrics. Activities say it here, and know nothing of Prometheus;
 * without an observer, as in tests, it goes nowhere.
 */
import type { RepairableKind, RunSummary, RunTable } from '../../spec/reconciliation.js';
import type { TableName } from '../postgres/statements.js';

export interface ReconciliationObserver {
  /** Once a run, when its summary is kept. Of one that was skipped nothing is counted. */
  ended(summary: RunSummary, tables: RunTable[]): void;
  /** Rows of a batch that was mended and verified, as soon as it is. */
  repaired(reconciliation: string, table: TableName, kind: RepairableKind, rows: number): void;
  /** Items of the review queue that wait for a person. */
  waiting(reconciliation: string, items: number): void;
}

const nobody: ReconciliationObserver = { ended: () => {}, repaired: () => {}, waiting: () => {} };

let observer = nobody;

/** One a process. Null: nobody looks. */
export function observeReconciliations(next: ReconciliationObserver | null): void {
  observer = next ?? nobody;
}

/** Whoever observes now. */
export const observed = (): ReconciliationObserver => observer;
