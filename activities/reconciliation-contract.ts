/**
 * What the workflows `reconciliation`, `repair` and `repairUndo` may call. Each activity finds out before it acts: what is done is kept in the
 * `godwit` schema of the target, so one that is run again, by another worker too, goes on where the last one was. No row is
 * ever in an input or an answer.
 */
import type { Level, NormalReconciliation, RepairSummary, RunSummary } from '../spec/reconciliation.js';

/** One run: everything is kept under its id. */
export interface ReconcileRun {
  /** Of the workflow, so that a run is found again; unique to the run. */
  run: string;
  /** Of the workflow that a schedule or a person started. */
  workflow: string;
  normal: NormalReconciliation;
  level: Level;
  /** True: all rows, even where the specification says `incremental`. */
  full: boolean;
  /** Only some tables or rows, such as a range of keys that replication has missed: it says nothing of what else is known. */
  partial?: boolean;
  /** Started by a schedule: it never waits for anybody. */
  scheduled: boolean;
}

export interface RepairRun {
  /** Of this repair: everything is kept under its id. */
  repair: string;
  /** Of the run whose findings are mended. */
  run: string;
  normal: NormalReconciliation;
  /** `policy`: what the rules mend by themselves; `all`: every finding that can be; `review`: what people accepted. */
  what: 'policy' | 'all' | 'review';
  /** Deletes rows, too: without it those are left to the review queue, unless a rule names them. */
  deletions: boolean;
  by: string | null;
}

export interface ReconciliationActivities {
  /** Checks and normalizes a document (`kind: Reconciliation`). Fails with `InvalidSpec`, naming the path. */
  normalizeReconciliation(input: { document: unknown }): Promise<NormalReconciliation>;
  /**
   * Compares, at the run's level; queues what needs a person, and keeps a certificate. Heartbeats `Progress`. A run of the
   * same target that goes on makes it answer `skipped`.
   */
  reconcile(run: ReconcileRun): Promise<RunSummary>;
  /** Mends findings, batch by batch, each row verified; goes on where an interrupted one was. Heartbeats `Progress`. */
  repair(run: RepairRun): Promise<RepairSummary>;
  /** Restores the rows that a repair changed; refuses those that were changed since. */
  undoRepair(run: Pick<RepairRun, 'repair' | 'normal' | 'by'>): Promise<RepairSummary>;
  /** Gives up what the reconciliation left on the databases: slots of `incremental`, and its tables in the `godwit` schema. */
  forgetReconciliation(input: { normal: NormalReconciliation }): Promise<void>;
}

export type ReconciliationActivityName = keyof ReconciliationActivities;
