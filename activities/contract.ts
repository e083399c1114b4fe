/**
 * What workflows may call: every activity's name, input and answer. Implementations live beside this file,
 * one folder a system; `workers/` wires them. Every activity finds out before it acts, so that running it
 * twice, or after an answer that was lost, is the same as running it once.
 */
import type { Finding } from '../spec/findings.js';
import type { Platform, SideGrants } from '../spec/grants.js';
import type { NormalDatabase, NormalMigration, TaskQueues } from '../spec/normal.js';
import type { DatabaseFacts, Plan, PlanFacts, PlanStep } from '../spec/plan.js';
import type { CertificateSummary, Primary, RulesSummary, SwitchFigures, SyncFigures } from '../spec/status.js';
import type { UnitRef } from '../spec/units.js';
import type { JudgeAnswer, JudgeInput } from '../spec/verdict.js';

/** What every activity on one database gets: no secrets, no rows, no list of tables. */
export interface DatabaseMove {
  /** Workflow id of the migration. */
  migration: string;
  /** The scope's key: see `scopeKey`. */
  key: string;
  database: NormalDatabase;
}

export interface PlanPart<Facts extends PlanFacts = PlanFacts> {
  facts: Facts;
  /** Without `seq` and `gate`, which the whole plan decides. */
  steps: Omit<PlanStep, 'seq' | 'gate'>[];
  findings: Finding[];
}

/** What both databases say of one scope, in one look. */
export interface Observation {
  /** Null: nothing of this scope is there. */
  primary: Primary | null;
  authority: { source: AuthorityView | null; target: AuthorityView | null };
  /** Which way changes flow now; null: no subscription. */
  replicating: 'forward' | 'back' | null;
  /** Age of the newest marker that arrived, in milliseconds; null when none flows. */
  lagMs: number | null;
  /** WAL that the slot holds back on the primary. */
  retainedBytes: number | null;
  /** In words, for people: an apply error, a missing worker, DDL in the way. Empty: healthy. */
  problems: string[];
  // What follows is absent in looks of workers from before there was a lookout.
  /** Said, and holds nothing: a slot that nears its limit, sessions that wait for the copy. */
  warnings?: string[];
  /** Another server answers than when the migration began: in words. */
  stranger?: string | null;
  /** DDL since replication began. */
  drift?: Drift | null;
  /** The slot is lost or gone, and with it changes that were not applied: in words. */
  lost?: string | null;
  /** The slot holds back more WAL than `lookout.maxRetainedWal` allows: in words. */
  overLimit?: string | null;
  /** Differs from look to look as long as anything goes forward, of the copy or of the replication. */
  progress?: string;
  /** Whom sessions of this scope wait for. */
  waiting?: string[];
  /** Before the switch: clients that connect past the pooler, each once, in words. */
  bypassing?: string[];
}

/** Tables in scope that are no longer what they were. */
export interface Drift {
  /** The sides on which they changed. */
  changed: Primary[];
  /** How the sides differ now, by table and column; empty: the change was made on both. */
  differences: string[];
}

export interface AuthorityView {
  epoch: number;
  state: AuthorityState;
}

/**
 * `open` takes writes; `leased` refuses them until a deadline; `closed` refuses them for good; `ready` is closed
 * and promised the next epoch.
 */
export type AuthorityState = 'open' | 'leased' | 'closed' | 'ready';

export type SwitchOutcome =
  | { kind: 'switched'; figures: SwitchFigures }
  /** Everything before the point of no return, then undone. */
  | { kind: 'rehearsed'; figures: SwitchFigures }
  /** Undone by itself before the point of no return; trying later may do. */
  | { kind: 'not-now'; reason: string };

export interface SwitchInput {
  move: DatabaseMove;
  direction: 'forward' | 'back';
  mode: 'switch' | 'rehearse';
  /** Counts attempts of this migration, for people. */
  attempt: number;
}

export interface RefreshInput {
  move: DatabaseMove;
  /** That takes the writes. */
  side: Primary;
}

export interface RefreshOutcome {
  refreshed: number;
  /** Views that could not be, each with its reason. */
  failed: string[];
}

export interface CopyInput {
  move: DatabaseMove;
  /** Counts the copiers of this database from 0. */
  copier: number;
}

export interface FailoverAccepted {
  /** Replication could not go on: the rows have to be copied, or compared, from a new slot. */
  resync: boolean;
}

export interface WorkersInput {
  /** Workflow id of the migration. */
  migration: string;
  /** What the findings are about. */
  unit: UnitRef;
  queues: TaskQueues;
}

export interface Activities {
  // ── light: configuration and short statements ──
  /** Checks and normalizes a document (`kind: Migration`). Fails with `InvalidSpec`, naming the path. */
  normalize(input: { document: unknown }): Promise<NormalMigration>;
  /** Fails with `SearchAttributesMissing` if `godwit namespace setup` was not run. */
  checkNamespace(): Promise<void>;
  /** Changes nothing. Unreachable databases and wrong passwords are findings, too. */
  preflightDatabase(move: DatabaseMove): Promise<Finding[]>;
  /** Whether enough workers poll the queues of one unit: a lone one on the switch queue makes its loss long. */
  preflightWorkers(input: WorkersInput): Promise<Finding[]>;
  /** Reads only. Findings included, so that a plan is complete. */
  planDatabase(move: DatabaseMove): Promise<PlanPart<DatabaseFacts>>;
  /** Reads only: what an administrator runs on each side; `platform` null: as the server shows. */
  grantsDatabase(input: { move: DatabaseMove; platform: Platform | null }): Promise<SideGrants[]>;
  /** Orders the parts, numbers the steps and makes the digest. */
  assemblePlan(input: { normal: NormalMigration; parts: PlanPart[] }): Promise<Plan>;
  observe(move: DatabaseMove): Promise<Observation>;
  /** Asks the providers of all gates, and says what their answers mean. Reads only; whatever a provider does is a verdict. */
  judge(input: JudgeInput): Promise<JudgeAnswer>;

  // ── what a person's `retry` allows ──
  /** Takes the tables' shape as it is now, once it is the same on both sides; else `SchemaMismatch`, with the differences. */
  adoptShape(move: DatabaseMove): Promise<{ adopted: boolean }>;
  /** Takes partitions along that came on the source since; `SchemaMismatch` while the target lacks them. Comes before `adoptShape`. */
  adoptPartitions(move: DatabaseMove): Promise<{ adopted: number }>;
  /** Takes a promoted standby for the server it stands for; `SystemChanged` where that could not be right. */
  acceptFailover(move: DatabaseMove): Promise<FailoverAccepted>;
  /** Drops the slot on the side that takes the writes, and what reads it, so that no more WAL is held back. */
  giveUpSlot(move: DatabaseMove): Promise<void>;

  // ── prepare: replicationSetup ──
  /** Writes the authority rows on both sides and takes the tables; `ScopeTaken` if another migration has them. */
  claim(move: DatabaseMove): Promise<{ tables: number }>;
  /** Copies (pg_dump, without indexes and keys) or compares the schema; `TargetNotEmpty`, `SchemaMismatch`. */
  prepareSchema(move: DatabaseMove): Promise<{ created: number }>;
  /** Fence functions, triggers and marker tables on both sides: source open, target closed. */
  installFence(move: DatabaseMove): Promise<void>;
  /** And proves that the server of the target reaches the source, as its subscription will. */
  createPublication(move: DatabaseMove): Promise<void>;

  // ── prepare: initialSync and validation (bulk) ──
  /** Slot, snapshot, rows, keys and indexes, subscription, all in one. Resumes what an interrupted one left. Heartbeats `Progress`. */
  initialSync(move: DatabaseMove): Promise<SyncFigures>;
  /** Holds the snapshot that `copyRanges` reads, until all rows are there. Resumes; on a queue of its own. */
  holdSnapshot(move: DatabaseMove): Promise<void>;
  /** Copies ranges until none is left that no other copier has. Heartbeats `Progress`. */
  copyRanges(input: CopyInput): Promise<void>;
  /** Keys, indexes and subscription, once all rows are there. Heartbeats `Progress`. */
  finishSync(move: DatabaseMove): Promise<SyncFigures>;
  /** Waits until a marker arrives within `cutover.maxLag`; heartbeats `Progress`. */
  catchUp(move: DatabaseMove): Promise<{ lagMs: number }>;
  /** Compares all tables of both sides under live writes. Heartbeats `Progress`. */
  validate(move: DatabaseMove): Promise<CertificateSummary>;
  /** Foreign keys of the side that follows, which applied changes don't check: `ValidationDiffers` names those that dangle. */
  checkReferences(move: DatabaseMove): Promise<void>;
  /** Asks the user's own rules on both sides under live writes. A broken one is an answer, not a failure. */
  checkRules(move: DatabaseMove): Promise<RulesSummary>;

  // ── switch ──
  switchWrites(input: SwitchInput): Promise<SwitchOutcome>;
  /**
   * Brings a scope that an attempt left half-way to one side or the other: before the point of no return undone,
   * after it completed. Fine to run at any time.
   */
  settle(move: DatabaseMove): Promise<{ primary: Primary }>;

  // ── after a switch (bulk) ──
  /** Materialized views of the side that has just been opened. What can't be refreshed is in the answer. */
  refreshViews(input: RefreshInput): Promise<RefreshOutcome>;

  // ── finalize: no way back ──
  finalizeDatabase(move: DatabaseMove): Promise<void>;

  // ── undo, each idempotent, each fine when its step never ran ──
  /** Moves the writes back to the source, if they aren't there; tries until it succeeds or its budget is reported. */
  undoSwitch(move: DatabaseMove): Promise<void>;
  undoInitialSync(move: DatabaseMove): Promise<void>;
  undoPublication(move: DatabaseMove): Promise<void>;
  undoFence(move: DatabaseMove): Promise<void>;
  undoSchema(move: DatabaseMove): Promise<void>;
  undoClaim(move: DatabaseMove): Promise<void>;
}

export type ActivityName = keyof Activities;
