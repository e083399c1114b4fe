/** Undo is data: shown in the plan and in `status`, and it survives continue-as-new and a terminated workflow. */
import type { Milliseconds } from './normal.js';
import type { UnitRef } from './units.js';

export interface UndoEntry {
  /** Position in the log, from 1. */
  seq: number;
  unit: UnitRef;
  /** What a person reads: "drop the replication slot and subscription". */
  title: string;
  /** Name of the activity that undoes it: idempotent, and fine to run when the step never began. */
  activity: string;
  /** Its only argument; references and figures, no rows, no secrets. */
  input: unknown;
  taskQueue: string;
  budget: Milliseconds;
  /**
   * While this one isn't undone, the unit's earlier entries aren't tried: they stand on it. Taking the fences away
   * while the writes are still on the target would let both sides accept writes.
   */
  guardsRest?: boolean;
}

export type UndoRecord = UndoEntry &
  (
    | { state: 'pending' }
    /** `different`: what somebody else has made otherwise meanwhile, and was left so. Absent: it is as it was. */
    | { state: 'done'; tookMs: Milliseconds; overBudget: boolean; different?: string }
    | { state: 'failed'; error: string; byHand: string }
  );
