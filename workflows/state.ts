/**
 * Everything a migration knows of itself: what continue-as-new carries, what the query `state` answers, and what
 * brings a terminated migration back. Facts only: the word for them (`needs-attention`, …) is derived in status.ts.
 */
import type { Finding } from '../spec/findings.js';
import { unitsOf, type Milliseconds, type NormalMigration } from '../spec/normal.js';
import type { TrafficImage, ValidationRecord } from '../activities/traffic-contract.js';
import type { MessageRecord, Problem, RunStatus, State, TrafficStatus, UnitStatus } from '../spec/status.js';
import type { UndoRecord } from '../spec/undo.js';
import type { GateVerdict, JudgeState } from '../spec/verdict.js';
import { parseUnitRef, type Stage, type UnitRef } from '../spec/units.js';
import { NOTHING_SEEN, type Memory, type Remedy } from './judgement.js';

/** Raise it when a field changes its meaning or can no longer be defaulted, and lift older ones in `upcast`. */
export const STATE_VERSION = 1;

/** What the operator asked for and the workflow has not yet begun to do. */
export interface Interrupt {
  kind: 'abort' | 'rollback';
  by: string | null;
  reason: string | null;
  /** A breach: users fare badly while it lasts. */
  urgent?: boolean;
}

export interface Approval {
  by: string;
  at: string;
  expiresAt: string;
}

export interface GateState {
  /** The workflow has come to it and waits, or has passed it. */
  reached: boolean;
  passed: boolean;
  approvals: Approval[];
}

/** What a person has asked for the weight. */
export type Hand = { by: string | null; reason: string | null } & (
  { kind: 'promote'; full: boolean } | { kind: 'weight'; weight: number }
);

export interface TrafficProgress extends TrafficStatus {
  /** Null: nothing has been looked at yet. */
  image: TrafficImage | null;
  hand: Hand | null;
  /** What the judge has seen at this step. */
  judged: JudgeState | null;
  /** Where a certificate was asked for. */
  request?: RequestProgress;
}

/** Of a certificate. */
export interface RequestProgress {
  token: string;
  /** As they were before any was written; null: not looked at yet. */
  records: ValidationRecord[] | null;
}

export interface UnitProgress extends UnitStatus {
  /** Of units of traffic only. */
  traffic?: TrafficProgress;
  /** All of `prepare` is done. */
  prepared: boolean;
  /** A cutover has begun since the last rollback, so that its writes may be on the target. */
  switchBegan: boolean;
  /** Attempts of the switch, over all its turns, for people. */
  attempts: number;
  /** Children started for this unit, for their ids. */
  children: number;
  /** What is worth knowing while nothing is wrong: an attempt that undid itself, a look that found no evidence. */
  note: string | null;
  /** Time that a look at its end found well. */
  watched: Milliseconds;
  /** Since the last look and the last validation, while watching. */
  sinceLook: Milliseconds;
  sinceValidation: Milliseconds;
  /** What earlier looks of the watch have shown. */
  memory: Memory;
  /** As `memory.badLooks`, of runs that knew no memory. */
  badLooks: number;
  /** The last look saw that all is well. */
  healthy: boolean;
  /** A person said `retry`: don't wait for the rhythm. */
  lookNow: boolean;
  validateNow: boolean;
  /** What the lookout has found, before the switch; `problem` is what a step or the watch has. */
  alarm: Problem | null;
  /** What is worth knowing, and holds nothing. */
  warnings: string[];
  /** What was prepared is no longer so: the rows must be copied, or compared, again before the switch. */
  stale: 'no' | 'revalidate' | 'resync';
  /** Of the problem that the watch has found: what `retry` does about it, and that it was said. */
  remedy: Remedy;
  remedyNow: boolean;
  /** Of the last switch; null: none. Milliseconds since the epoch. */
  switchedAt: Milliseconds | null;
  /** How long before that writes began to wait: what metrics show of it is no baseline. */
  pausedBefore: Milliseconds;
  /** Time of the probation in which the gates were seen to hold. */
  onTrial: Milliseconds;
  verdicts: GateVerdict[];
  /** Between looks at metrics. */
  judge: JudgeState | null;
  /** Materialized views that could not be refreshed after the last switch, in words; null: none. */
  staleViews: string | null;
  /** After the switch. `lost`: the changes can't be had any more; `given-up`: a person has said to go on without. */
  wayBack: 'open' | 'lost' | 'given-up';
}

export interface MigrationState {
  version: typeof STATE_VERSION;
  /** Workflow id of the migration, which its scope keys are made of. */
  migration: string;
  normal: NormalMigration | null;
  /** Search attributes are known to exist; setting one that doesn't would stall the workflow. */
  namespaceChecked: boolean;
  /** Digest that the start was bound to. */
  wantedDigest: string | null;
  planDigest: string | null;
  stage: Stage | 'preflight';
  units: UnitProgress[];
  /** By gate id. */
  gates: Record<string, GateState>;
  paused: boolean;
  interrupt: Interrupt | null;
  /** What is being undone. */
  undoing: 'nothing' | 'switch' | 'everything';
  rolledBack: boolean;
  /** The stage without a way back has begun. */
  finalizing: boolean;
  ended: Extract<State, 'migrated' | 'undone' | 'failed' | 'done' | 'aborted'> | null;
  /** A problem of the whole, such as findings of preflight. */
  problem: Problem | null;
  /** What ended it, or what the undo in progress is slow at. */
  note: string | null;
  /** Units to rehearse, and the `seq` of the message that asked. */
  rehearsals: { unit: UnitRef; record: number }[];
  findings: Finding[];
  undoLog: UndoRecord[];
  messages: MessageRecord[];
  /** All that ever came; `messages` keeps the newest. */
  messageCount: number;
  startedAt: string;
  updatedAt: string;
  /** Of reconciliations only. */
  reconciliation?: RunStatus;
}

export function newState(migration: string, now: string): MigrationState {
  return {
    version: STATE_VERSION,
    migration,
    normal: null,
    namespaceChecked: false,
    wantedDigest: null,
    planDigest: null,
    stage: 'preflight',
    units: [],
    gates: {},
    paused: false,
    interrupt: null,
    undoing: 'nothing',
    rolledBack: false,
    finalizing: false,
    ended: null,
    problem: null,
    note: null,
    rehearsals: [],
    findings: [],
    undoLog: [],
    messages: [],
    messageCount: 0,
    startedAt: now,
    updatedAt: now,
  };
}

/** Takes the normal form in: its units, and one state for each gate. */
export function adopt(state: MigrationState, normal: NormalMigration): void {
  state.normal = normal;
  state.units = unitsOf(normal).map(({ unit }) => newUnit(unit));
  state.gates = Object.fromEntries(
    normal.gates.map(({ id }) => [id, { reached: false, passed: false, approvals: [] }]),
  );
}

/** A watch that has seen nothing yet. */
export const WATCH_AFRESH = {
  watched: 0,
  sinceLook: 0,
  sinceValidation: 0,
  badLooks: 0,
  healthy: true,
  lookNow: false,
  validateNow: false,
  memory: { ...NOTHING_SEEN, caughtUp: true },
  remedy: 'none',
  remedyNow: false,
  wayBack: 'open',
} as const;

export const TRAFFIC_AFRESH = {
  wanted: null,
  step: 0,
  held: 0,
  byHand: false,
  waitsFor: null,
  verdicts: [],
  hand: null,
  judged: null,
  shiftBeganAt: null,
} as const;
/** Nothing has been judged yet. What was said before a rollback stays to be read until the next switch. */
export const NOT_SWITCHED = { switchedAt: null, pausedBefore: 0, onTrial: 0, judge: null } as const;

function newUnit(unit: UnitRef): UnitProgress {
  const isTraffic = parseUnitRef(unit)?.type === 'traffic';
  return {
    ...(isTraffic ? { traffic: { ...TRAFFIC_AFRESH, verdicts: [], image: null, weight: null, log: [] } } : {}),
    unit,
    stage: 'preflight',
    phase: 'preflight',
    state: 'pending',
    primary: 'source',
    sync: null,
    lagMs: null,
    certificate: null,
    switches: [],
    rehearsal: null,
    problem: null,
    prepared: false,
    switchBegan: false,
    attempts: 0,
    children: 0,
    note: null,
    alarm: null,
    warnings: [],
    stale: 'no',
    staleViews: null,
    verdicts: [],
    ...NOT_SWITCHED,
    ...WATCH_AFRESH,
  };
}

/**
 * A state on its way in, from an older run or from a person who brings a migration back. Answers null for what isn't
 * one. Older versions are lifted here, one step at a time, when there are any.
 */
export function upcast(carried: unknown): MigrationState | null {
  if (!isState(carried)) return null;
  const units = carried.units.map((unit) => ({ ...newUnit(unit.unit), ...unit }));
  return { ...newState(carried.migration, carried.startedAt), ...carried, units };
}

function isState(value: unknown): value is MigrationState {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === STATE_VERSION &&
    'migration' in value &&
    typeof value.migration === 'string' &&
    'units' in value &&
    Array.isArray(value.units) &&
    'undoLog' in value &&
    Array.isArray(value.undoLog) &&
    'messages' in value &&
    Array.isArray(value.messages)
  );
}
