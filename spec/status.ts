/** What the query `status` answers: one typed document, for people and scripts, of open and closed workflows. */
import type { Finding } from './findings.js';
import type { NormalMigration } from './normal.js';
import type { Level, RunSummary } from './reconciliation.js';
import type { Series } from './recent.js';
import type { Stage, UnitRef } from './units.js';
import type { UndoRecord } from './undo.js';
import type { GateVerdict } from './verdict.js';

/** Of a migration. */
export const STATES = [
  'running',
  'paused',
  'awaiting-approval',
  'needs-attention',
  'undoing',
  'rolled-back',
  'migrated',
  'undone',
  'failed',
] as const;
/** `done` and `aborted` are ends of a reconciliation. */
export type State = (typeof STATES)[number] | 'done' | 'aborted';

/** Where the writes of a database go. */
export type Primary = 'source' | 'target';

export interface UnitStatus {
  unit: UnitRef;
  stage: Stage | 'preflight';
  /** Phase within the stage: `initialSync`, `cutover`, … */
  phase: string;
  state: 'pending' | 'running' | 'done' | 'failed' | 'undone';
  primary: Primary;
  sync: SyncFigures | null;
  lagMs: number | null;
  certificate: CertificateSummary | null;
  switches: SwitchFigures[];
  rehearsal: SwitchFigures | null;
  /** Of units of traffic only. */
  traffic?: TrafficStatus;
  /** Of the last look at metrics; absent where no gates are judged. */
  verdicts?: GateVerdict[];
  /** Figures of the newest looks; absent before the first. */
  recent?: Series[];
  /** While it is on trial or watched: how long it was well, of how long it must be. Milliseconds. */
  well?: { for: number; of: number };
  problem: Problem | null;
}

/** How far the traffic has moved. */
export interface TrafficStatus {
  /** Percent that green gets, as was written last; null: green isn't attached. */
  weight: number | null;
  /** On its way: may be there already. Null: nothing is. */
  wanted: number | null;
  /** Position of the step that is held, or will be next, from 0. */
  step: number;
  /** Milliseconds that this step was held and found well. */
  held: number;
  /** A person has set the weight: it stays until `promote`. */
  byHand: boolean;
  /** Gate of a step that waits for people. */
  waitsFor: string | null;
  /** Of the last look: in words and figures. */
  verdicts: string[];
  /** Figures of the newest looks; absent before the first. */
  recent?: Series[];
  /** When the first weight above 0 was written, milliseconds since the epoch: what was before is the baseline. */
  shiftBeganAt: number | null;
  /** Where the specification asks for one, from its request on. */
  certificate?: ServerCertificate;
  /** Every weight that was written: newest last. */
  log: { at: string; weight: number; why: string; by: string | null }[];
}

/** Of a listener, for TLS. */
export interface ServerCertificate {
  names: string[];
  /** Null: not requested yet. */
  arn: string | null;
  /** `served`: the listener has it. */
  state: 'requested' | 'pending' | 'issued' | 'served';
  /** When it ends, ISO; null: not issued yet. */
  notAfter: string | null;
}

export interface SyncFigures {
  tables: number;
  rows: number;
  bytes: number;
  /** Milliseconds spent copying rows, then building keys and indexes. */
  copyMs: number;
  indexMs: number;
  /** Ranges kept from an interrupted copy because their hash still matched. */
  rangesKept: number;
}

export interface CertificateSummary {
  id: string;
  verdict: 'equal' | 'different' | 'incomplete';
  tables: number;
  rows: number;
  differences: number;
  /** LSN on the primary for which the statement holds, and its time. */
  lsn: string;
  at: string;
  tookMs: number;
  /** Absent where there are none, or rows differ: then they are not asked. */
  rules?: RulesSummary;
}

/** What the user's own rules said. In words where one did not hold, ten at most of each. */
export interface RulesSummary {
  /** How many were asked, and held. */
  asked: number;
  held: number;
  /** Of more than low severity: no good evidence. */
  broken: string[];
  /** Of low severity: worth knowing. */
  noted: string[];
  /** Could not be asked, or not be settled, and why: no good evidence either. */
  notAsked: string[];
  /** Names of those that a person has left out. */
  ignored: string[];
  /** Which side took the writes, the LSN there that both sides had reached before the first was asked, and its time. */
  primary: Primary;
  lsn: string;
  at: string;
  tookMs: number;
}

export interface SwitchFigures {
  direction: 'forward' | 'back';
  attempt: number;
  at: string;
  /** From sending the first PAUSE to the last RESUME. */
  pauseMs: number;
  /** From the fence's commit on the old primary to the opening of the new one. */
  fencedMs: number;
  steps: { name: string; ms: number }[];
}

export interface Problem {
  type: string;
  message: string;
  /** What still holds and what to do next. */
  next: string;
  at: string;
}

export interface GateStatus {
  id: string;
  state: 'open' | 'passed' | 'not-reached' | 'off';
  needed: number;
  approvals: { by: string; at: string; expiresAt: string }[];
  /** What to type with `--confirm`. */
  confirm: string;
}

export interface MessageRecord {
  name: string;
  at: string;
  by: string | null;
  reason: string | null;
  unit: string | null;
  /** `accepted`, or why it changed nothing. */
  outcome: string;
}

/** How far a reconciliation is, or a repair of what one has found. */
export interface RunStatus {
  /** Of the run that compares, or has compared; empty where it is about none. */
  run: string;
  /** `metadata.name`; empty until the document is read. */
  reconciliation: string;
  /** Null where nothing is compared. */
  level: Level | null;
  step: 'reading' | 'comparing' | 'repairing' | 'undoing' | 'forgetting';
  /** Once it has compared. */
  summary: RunSummary | null;
  /** Of the repair, once one has begun. */
  repair: string | null;
}

export interface StatusDocument {
  version: 1;
  /** Workflow id. */
  migration: string;
  name: string;
  state: State;
  stage: Stage | 'preflight';
  planDigest: string | null;
  units: UnitStatus[];
  gates: GateStatus[];
  findings: Finding[];
  undoLog: UndoRecord[];
  messages: MessageRecord[];
  /** Why it waits or stopped, for the person who reads it at night. */
  reason: string | null;
  startedAt: string;
  updatedAt: string;
  spec: NormalMigration | null;
  /** Of reconciliations only, which have neither units nor gates. */
  reconciliation?: RunStatus;
}

/** Live progress, in the heartbeats of bulk activities. */
export interface Progress {
  unit: UnitRef;
  phase: string;
  /** Rows or ranges, as `what` says. */
  what: 'rows' | 'ranges' | 'indexes' | 'tables';
  done: number;
  total: number;
  bytesDone: number;
  bytesTotal: number;
  bytesPerSecond: number;
  detail: string;
}
