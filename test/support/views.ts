/** Migrations at several moments of their life, as the command line sees them. */
import type { RulesSummary, StatusDocument, SwitchFigures, TrafficStatus, UnitStatus } from '../../spec/status.js';
import type { MigrationView, PendingWork } from '../../clients/view.js';

export const NOW = new Date('2026-03-01T12:00:00Z');

/** Of a unit that has not begun. */
export const NO_TRAFFIC_YET: TrafficStatus = {
  weight: null,
  wanted: null,
  step: 0,
  held: 0,
  byHand: false,
  waitsFor: null,
  verdicts: [],
  shiftBeganAt: null,
  log: [],
};

const before = (seconds: number) => new Date(NOW.getTime() - seconds * 1000).toISOString();

export const FORWARD: SwitchFigures = {
  direction: 'forward',
  attempt: 1,
  at: before(60),
  pauseMs: 27.4,
  fencedMs: 11.2,
  steps: [
    { name: 'fence', ms: 4.1 },
    { name: 'catch up', ms: 6.3 },
  ],
};

const COPIED = { tables: 12, rows: 5_000_000, bytes: 500_000_000, copyMs: 10_000, indexMs: 4_000, rangesKept: 0 };

const EQUAL = {
  id: 'c-1',
  verdict: 'equal',
  tables: 12,
  rows: 5_000_000,
  differences: 0,
  lsn: '0/16B3748',
  at: before(30),
  tookMs: 6600,
} as const;

export const RULES: RulesSummary = {
  asked: 3,
  held: 2,
  broken: ['rule paid-in-full: 3 rows on the target, where none should be (high)'],
  noted: [],
  notAsked: [],
  ignored: ['old-prices'],
  primary: 'source',
  lsn: '0/16B3799',
  at: before(20),
  tookMs: 2300,
};

/** Of both sides equal, with these rules asked. */
export const ruled = (rules: RulesSummary): UnitStatus => unit({ certificate: { ...EQUAL, rules } });

export function unit(changes: Partial<UnitStatus> = {}): UnitStatus {
  return {
    unit: 'database/orders',
    stage: 'prepare',
    phase: 'initialSync',
    state: 'running',
    primary: 'source',
    sync: null,
    lagMs: null,
    certificate: null,
    switches: [],
    rehearsal: null,
    problem: null,
    ...changes,
  };
}

export function view(changes: Partial<StatusDocument> = {}, pending: PendingWork[] = []): MigrationView {
  return {
    status: {
      version: 1,
      migration: 'orders-move',
      name: 'orders-move',
      state: 'running',
      stage: 'prepare',
      planDigest: 'sha256:0123456789abcdef0123456789abcdef',
      units: [unit()],
      gates: [
        { id: 'switch', state: 'not-reached', needed: 1, approvals: [], confirm: 'orders-move' },
        { id: 'finalize', state: 'not-reached', needed: 1, approvals: [], confirm: 'orders-move' },
      ],
      findings: [],
      undoLog: [],
      messages: [],
      reason: null,
      startedAt: before(7200),
      updatedAt: before(1),
      spec: null,
      ...changes,
    },
    execution: {
      workflowId: 'orders-move',
      runId: 'run-1',
      status: 'RUNNING',
      historyEvents: 120,
      startedAt: before(7200),
      closedAt: null,
    },
    pending,
  };
}

export function copying(bytesDone: number): PendingWork {
  return {
    workflowId: 'orders-move/initialSync',
    activity: 'initialSync',
    attempt: 1,
    progress: {
      unit: 'database/orders',
      phase: 'initialSync',
      what: 'rows',
      done: bytesDone / 100,
      total: 5_000_000,
      bytesDone,
      bytesTotal: 500_000_000,
      bytesPerSecond: 50_000_000,
      detail: 'public.orders',
    },
    lastFailure: null,
    nextAttemptAt: null,
  };
}

export const waitingForApproval = view({
  state: 'awaiting-approval',
  stage: 'switch',
  reason: 'waits for approval of the gate switch: 0 of 1 given',
  units: [
    unit({
      stage: 'switch',
      phase: 'waiting',
      lagMs: 12,
      sync: COPIED,
      certificate: EQUAL,
    }),
  ],
  gates: [
    { id: 'switch', state: 'open', needed: 1, approvals: [], confirm: 'orders-move' },
    { id: 'finalize', state: 'not-reached', needed: 1, approvals: [], confirm: 'orders-move' },
  ],
  undoLog: [
    {
      seq: 1,
      unit: 'database/orders',
      title: 'give the tables free',
      activity: 'undoClaim',
      input: {},
      taskQueue: 'godwit',
      budget: 1_800_000,
      state: 'pending',
    },
    {
      seq: 2,
      unit: 'database/orders',
      title: 'drop slot and subscription',
      activity: 'undoInitialSync',
      input: {},
      taskQueue: 'godwit',
      budget: 1_800_000,
      state: 'pending',
    },
  ],
  messages: [{ name: 'pause', at: before(600), by: 'ann@ops', reason: 'release', unit: null, outcome: 'accepted' }],
});

export const needsAttention = view({
  state: 'needs-attention',
  reason: 'database/orders: no free replication slot. Nothing was switched: the source takes the writes',
  units: [
    unit({
      state: 'failed',
      problem: {
        type: 'ReplicationBroken',
        message: 'no free replication slot',
        next: 'raise max_replication_slots, then `retry`',
        at: before(20),
      },
    }),
  ],
});

export const undoFailed = view({
  state: 'failed',
  reason: 'could not be undone',
  undoLog: [
    {
      seq: 1,
      unit: 'database/orders',
      title: 'drop slot and subscription',
      activity: 'undoInitialSync',
      input: {},
      taskQueue: 'godwit',
      budget: 1_800_000,
      state: 'failed',
      error: 'the source is unreachable',
      byHand: "select pg_drop_replication_slot('godwit_0123')",
    },
  ],
});

export const migrated: MigrationView = {
  ...view({
    state: 'migrated',
    stage: 'finalize',
    units: [
      unit({
        stage: 'finalize',
        phase: 'done',
        state: 'done',
        primary: 'target',
        sync: { ...COPIED, rangesKept: 3 },
        certificate: EQUAL,
        switches: [FORWARD, { ...FORWARD, direction: 'back', pauseMs: 31.9 }],
        rehearsal: { ...FORWARD, pauseMs: 22 },
      }),
    ],
    gates: [
      {
        id: 'switch',
        state: 'passed',
        needed: 1,
        approvals: [{ by: 'ann@ops', at: before(90), expiresAt: before(-80_000) }],
        confirm: 'orders-move',
      },
    ],
    messages: [{ name: 'approve', at: before(90), by: 'ann@ops', reason: 'CHG|7', unit: null, outcome: 'accepted' }],
  }),
  execution: {
    workflowId: 'orders-move',
    runId: 'run-1',
    status: 'COMPLETED',
    historyEvents: 700,
    startedAt: before(7200),
    closedAt: before(0),
  },
};
