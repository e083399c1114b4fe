/**
 * The normal form of a reconciliation: two databases that should hold the same rows, how closely to look, how gently, and what
 * may be done about what differs. Made once, by the `normalizeReconciliation` activity; holds references to secrets only.
 */
import type { Bytes, Milliseconds, SecretReference } from './normal.js';
import type { Primary } from './status.js';

/**
 * - `quick`: structure, counts, sequences, and the newest rows; minutes
 * - `comprehensive`: every row by its strict hash, down to the row
 * - `deep`: comprehensive, and all else that makes two databases answer differently
 * - `business`: the user's own rules
 */
export const LEVELS = ['quick', 'comprehensive', 'deep', 'business'] as const;
export type Level = (typeof LEVELS)[number];

export const SIDES = ['source', 'target'] as const satisfies Primary[];

/**
 * Of the standby, as seen from the primary: `missing`, `extra`, `changed`. `count`: rows that occur more or less often, in a
 * table without a key, or a count that is off. `duplicate`: rows that should be unique. `dangling`: a reference to nothing.
 * `temporal`: times in the future or out of order, gaps in a sequence of events. `drift`: the schema. `business`: a broken rule.
 */
export const FINDING_KINDS = [
  'missing',
  'extra',
  'changed',
  'count',
  'duplicate',
  'dangling',
  'temporal',
  'drift',
  'business',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

/** Those that a repair can mend: each is one row of one side. */
export const REPAIRABLE_KINDS = ['missing', 'extra', 'changed'] as const;
export type RepairableKind = (typeof REPAIRABLE_KINDS)[number];

/** `low`: worth knowing, but no difference; it leaves verdict and exit code as they are. */
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type FindingSeverity = (typeof SEVERITIES)[number];

/**
 * How it is known that the standby has applied all that the primary had committed.
 * - `auto`: the scope of a migration that holds the tables, else a subscription of the standby, else streaming replication
 * - `scope`: the marker of a migration's scope
 * - `subscription`: the user's own logical replication; its slot's confirmed_flush_lsn
 * - `grace`: replication that Postgres knows nothing of: a difference counts once it has stayed for so long
 * - `none`: nothing flows between them
 */
export type ReplicationProof =
  | { kind: 'auto' }
  | { kind: 'scope'; key: string }
  | { kind: 'subscription'; name: string }
  | { kind: 'grace'; for: Milliseconds }
  | { kind: 'none' };

export interface ReconciledSide {
  url: SecretReference;
  /** A physical standby of it, where rows are read in bulk; settling and repairs use `url`. Null: none. */
  replica: SecretReference | null;
}

/** A share of the rows, the same ones on both sides. */
export interface NormalSample {
  /** More than 0, less than 100. */
  percent: number;
  /** `systematic`: every k-th leaf of keys, which reads only its pages; `random`: each row by its key's hash. */
  method: 'systematic' | 'random';
  seed: number;
  /** Patterns: the tables of which only a sample is compared; of the others all rows are. */
  tables: string[];
}

/** Which rows may have changed since the last run that compared them. */
export interface NormalIncremental {
  /** `changes`: a logical slot on each side. `xmin`: the row's transaction. `column`: an indexed time of the last change. */
  by: 'changes' | 'xmin' | 'column';
  /** Of `column`: its name, in every table that has it; tables without it are compared whole. */
  column: string | null;
  /** After this long a run compares all rows again. */
  fullEvery: Milliseconds;
  /** WAL that a slot of `changes` may hold back before it is given up, and the next run is a full one. */
  maxRetainedWal: Bytes;
}

export interface ColumnRule {
  /** Pattern of tables. */
  tables: string;
  /** Left out of the comparison, of repairs too. */
  exclude: string[];
  /** Compared by hash, and never shown: not in the review queue, not in dry runs. */
  mask: string[];
}

export type TemporalRule =
  | { kind: 'order'; tables: string; earlier: string; later: string }
  | { kind: 'not-in-future'; tables: string; column: string; tolerance: Milliseconds }
  | { kind: 'no-gaps'; tables: string; column: string; per: string[] };

export interface DuplicateRule {
  tables: string;
  columns: string[];
}

export type BusinessRule =
  /** Must return no rows, on the sides named. */
  | { kind: 'no-rows'; name: string; sql: string; on: Primary[]; severity: FindingSeverity | null }
  /** Two queries, one a side, that must return the same: rows and their order. */
  | {
      kind: 'same';
      name: string;
      sql: Record<Primary, string>;
      /** Largest difference between two numbers that still counts as the same. */
      tolerance: number;
      severity: FindingSeverity | null;
    }
  /** One number within bounds, on the sides named. */
  | {
      kind: 'within';
      name: string;
      sql: string;
      on: Primary[];
      min: number | null;
      max: number | null;
      severity: FindingSeverity | null;
    };

export interface NormalChecks {
  temporal: TemporalRule[];
  duplicates: DuplicateRule[];
  business: BusinessRule[];
}

/** `repair`: by itself; `ask`: to the review queue; `report`: only said. */
export type RepairAction = 'repair' | 'ask' | 'report';

/** The first that matches counts. */
export interface RepairRule {
  tables: string[];
  kinds: RepairableKind[];
  action: RepairAction;
  /** Who is right. */
  truth: Primary;
}

export interface NormalRepair {
  /** After the user's own: one that matches everything. */
  rules: RepairRule[];
  /** More than this always asks: rows of one run, and percent of a table's rows. */
  limits: { rows: number; percent: number };
  /** Rows of one transaction. */
  batch: number;
  /** Most rows a second; null: as fast as it goes. */
  rowsPerSecond: number | null;
}

export interface NormalReview {
  expireAfter: Milliseconds;
  /** What becomes of an item that nobody decided. */
  onExpiry: 'reject' | 'repair' | 'keep';
}

export interface NormalReconcileLimits {
  /** Tables, or pieces of them, compared at once. */
  parallelism: number;
  /** Over both sides; null: as fast as it goes. */
  bytesPerSecond: Bytes | null;
  rowsPerSecond: number | null;
  /** Of one statement that reads rows in bulk; one that would take longer is cut into smaller ones. */
  statementTimeout: Milliseconds;
  lockTimeout: Milliseconds;
  leafRows: number;
  /** Waits while one is passed, on either side; null: isn't looked at. */
  slowDown: {
    replicationLag: Milliseconds | null;
    activeSessions: number | null;
    probe: { sql: string; maxLatency: Milliseconds } | null;
  };
  /** While others commit more than so many transactions a second on either side, reads take this share of the time. */
  busy: { transactions: number | null; share: number };
}

export interface NormalSeverity {
  kinds: Partial<Record<FindingKind, FindingSeverity>>;
  /** More findings of one kind in one table than this are at least high. */
  highAbove: number;
}

export interface NormalSchedule {
  /** Name among the reconciliation's schedules; by default its level's. */
  name: string;
  level: Level;
  /** One of the two. Cron is five fields, in `timeZone`. */
  every: Milliseconds | null;
  cron: string | null;
  timeZone: string;
  jitter: Milliseconds;
  catchUpWindow: Milliseconds;
  overlap: 'skip' | 'buffer-one';
}

export interface NormalReconciliation {
  version: 1;
  /** `metadata.name`. */
  name: string;
  source: ReconciledSide;
  target: ReconciledSide;
  /** The side that takes the writes. */
  primary: Primary;
  replication: ReplicationProof;
  tables: { include: string[]; exclude: string[]; rowFilters: Record<string, string> };
  columns: ColumnRule[];
  /** Of a run that names none. */
  level: Level;
  sample: NormalSample | null;
  incremental: NormalIncremental | null;
  checks: NormalChecks;
  severity: NormalSeverity;
  repair: NormalRepair;
  review: NormalReview;
  limits: NormalReconcileLimits;
  schedules: NormalSchedule[];
  /** `light` for short statements, `bulk` for those that read rows. */
  taskQueues: { light: string; bulk: string };
}

// ── what a run answers: small enough for a history, and without any row ──

export type RunVerdict = 'equal' | 'different' | 'incomplete';

export interface FindingCount {
  kind: FindingKind;
  severity: FindingSeverity;
  schema: string;
  table: string;
  count: number;
}

export interface RunTable {
  schema: string;
  name: string;
  /** What was compared: all rows, a sample, those touched since, or nothing, and why. */
  how: 'all' | 'sample' | 'touched' | 'count' | 'not-compared';
  /** Why it was not compared, or the bound that a sample gives, in words. */
  note: string | null;
  rows: number;
  bytes: number;
  /** Differed when first read, and were equal once the standby had caught up. */
  late: number;
  findings: Partial<Record<FindingKind, number>>;
  /** Of these: what a person has said may stay, as it is. Absent: none. */
  accepted?: Partial<Record<FindingKind, number>>;
  tookMs: Milliseconds;
}

export interface RunSummary {
  /** Of the run: also the name of what is kept of it in the `godwit` schema of the target. */
  run: string;
  reconciliation: string;
  level: Level;
  /** `skipped`: another run of these databases goes on; `why` names it. */
  outcome: 'done' | 'skipped';
  why: string | null;
  verdict: RunVerdict;
  primary: Primary;
  incremental: boolean;
  /** Position on the primary, and time, for which the statement holds. */
  lsn: string | null;
  at: string;
  tookMs: Milliseconds;
  /** Totals. */
  tables: number;
  tablesNotCompared: number;
  rows: number;
  bytes: number;
  late: number;
  /** Neither proven equal nor different. */
  suspects: number;
  /** What could not be looked at: tables, rules, checks. Absent of runs of before it was counted. */
  notChecked?: number;
  found: FindingCount[];
  /** By itself, as the policy says. */
  repaired: number;
  /** Put into the review queue. */
  queued: number;
  /** Findings that are still there, but for those that were accepted, and those of low severity. */
  remaining: number;
  /** Findings that a person has said may stay, as they are; but for those of low severity. Absent of runs of before it was counted. */
  accepted?: number;
  certificate: string | null;
}

export interface RepairSummary {
  repair: string;
  run: string;
  outcome: 'done' | 'undone';
  /** Rows by what was done to them. */
  inserted: number;
  updated: number;
  deleted: number;
  /** Changed since they were found, or refused by a constraint: left as they are, and said in the audit. */
  refused: number;
  /** Already as they should be. */
  unneeded: number;
  tookMs: Milliseconds;
}
