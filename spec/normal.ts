/**
 * The normal form of a migration: defaults applied, durations in milliseconds, sizes in bytes.
 * Made once, by the `normalize` activity; workflow code and activities know only this form, so that a
 * changed default never breaks a running migration. It holds references to secrets, never a secret.
 */
import type { NormalTraffic } from './normal-traffic.js';
import type { NormalMetricGate } from './gates.js';
import type { NormalProvider } from './metrics.js';
import type { BusinessRule } from './reconciliation.js';
import type { Stage, UnitRef } from './units.js';

export type Milliseconds = number;
export type Bytes = number;

/** Where an activity finds a secret. The value itself never enters a workflow. */
export type SecretReference = { env: string } | { file: string } | { secretsManager: string; key?: string | undefined };

export interface NormalMigration {
  version: 1;
  /** `metadata.name`; what a person types to confirm an approval. */
  name: string;
  databases: NormalDatabase[];
  /** Absent where none moves. */
  traffic?: NormalTraffic[];
  /** Who is asked how users fare; absent where nobody is. */
  metrics?: NormalProvider[];
  gates: NormalGate[];
  rollback: { databases: Milliseconds; infrastructure: Milliseconds; services: Milliseconds; traffic: Milliseconds };
}

/** All units, as the graph takes them. */
export function unitsOf({ databases, traffic = [] }: Pick<NormalMigration, 'databases' | 'traffic'>): Unit[] {
  return [...databases, ...traffic];
}

export type Unit = NormalDatabase | NormalTraffic;

/** A point that waits for people. `unit` null: one gate for the whole stage. */
export interface NormalGate {
  /** `switch`, `finalize`, with a unit `switch:database/orders`, or with a step `switch:traffic/web:25`. */
  id: string;
  stage: Stage;
  unit: UnitRef | null;
  /** How many different people; 0 turns the gate off. */
  approvals: number;
  validFor: Milliseconds;
  /** Of one step of a unit of traffic: its weight. */
  step?: number;
}

export interface NormalDatabase {
  name: string;
  unit: UnitRef;
  dependsOn: UnitRef[];
  source: SecretReference;
  target: SecretReference;
  /** How the servers reach each other, where that isn't as the workers do. */
  replication?: Record<'source' | 'target', ReplicationPath>;
  /** Patterns `schema.table` with `*`; exclude wins. */
  tables: {
    include: string[];
    exclude: string[];
    /** Condition in SQL by table pattern; absent in migrations that began before there were any. */
    rowFilters?: Record<string, string>;
    /** What a switch does with the rows of unlogged tables, by table pattern; absent where none is asked for. */
    unlogged?: Record<string, 'copy' | 'empty'>;
  };
  schema: 'copy' | 'existing';
  endpoints: NormalEndpoint[];
  copy: {
    /** Ranges copied at once. */
    parallelism: number;
    /** Aim for the size of one range of a table. */
    rangeSize: Bytes;
    /** Bytes a second over all ranges; null: unlimited. */
    rateLimit: Bytes | null;
    /** Copiers, each of which may run on a worker of its own; absent in migrations from before there were several: one. */
    workers?: number;
    /** When the source has too much to do; absent in migrations from before there was this. */
    slowDown?: SlowDown;
  };
  cutover: {
    /** From the first PAUSE to the last RESUME; past it the attempt undoes itself. */
    maxPause: Milliseconds;
    /** An attempt begins only while a marker needs less than this to arrive. */
    maxLag: Milliseconds;
    attempts: number;
    waitBetweenAttempts: Milliseconds;
    window: CutoverWindow | null;
    /** Absent in migrations begun before there was a say in it. */
    standbys?: { ignore: string[] };
    /** Absent: the writes aren't on trial. */
    probation?: NormalProbation;
  };
  /** Absent in migrations begun before there were any: `lookoutOf` knows the defaults. */
  lookout?: NormalLookout;
  watch: {
    /** How long the way back stays open. */
    for: Milliseconds;
    /** Rhythm of lag and health checks. */
    every: Milliseconds;
    /** Rhythm of validation while watching; null: none. */
    validateEvery: Milliseconds | null;
    onFailure: 'undo' | 'hold';
    /** Absent: only lag, health and rows are looked at. */
    gates?: NormalMetricGate[];
  };
  validation: {
    parallelism: number;
    /** Rows of one leaf that is read whole once its hash differs. */
    leafRows: number;
    /** How long a row or table lock may be waited for to settle a suspect. */
    lockTimeout: Milliseconds;
    /** Tables left out, as patterns; the certificate names them. */
    exclude: string[];
    /** The user's own, asked once the rows are equal; these three are absent where there are none. */
    rules?: BusinessRule[];
    /** Of one statement of a rule. */
    ruleTimeout?: Milliseconds;
    /** Names of rules that are not asked. */
    ignoreRules?: string[];
  };
  /** Task queues by kind of work; a unit may name its own for workers next to its databases. */
  taskQueues: TaskQueues;
}

/** The first minutes after a switch, in which a breach sends the writes back. */
export interface NormalProbation {
  for: Milliseconds;
  every: Milliseconds;
  gates: NormalMetricGate[];
}

/** Limits past which the copy waits; null: not looked at. */
export interface SlowDown {
  /** Of the furthest streaming standby of the source. */
  standbyLag: Milliseconds | null;
  /** Sessions of clients that do something. */
  activeSessions: number | null;
}

/** What is looked at all the time, and when a person is asked. */
export interface NormalLookout {
  every: Milliseconds;
  maxLag: Milliseconds;
  /** Longest time without progress. */
  stall: Milliseconds;
  /** Null: no limit but the server's own. */
  maxRetainedWal: Bytes | null;
  onLimit: 'hold' | 'drop';
}

export function lookoutOf({ lookout }: Pick<NormalDatabase, 'lookout'>): NormalLookout {
  return lookout ?? { every: 30_000, maxLag: 60_000, stall: 30 * 60_000, maxRetainedWal: null, onLimit: 'hold' };
}

/** The user's own rules: those to ask, and the names of those that a person has left out. */
export function rulesOf({ validation }: Pick<NormalDatabase, 'validation'>): {
  asked: BusinessRule[];
  ignored: string[];
  timeout: Milliseconds;
} {
  const { rules = [], ruleTimeout: timeout = 60_000, ignoreRules: ignored = [] } = validation;
  return { asked: rules.filter(({ name }) => !ignored.includes(name)), ignored, timeout };
}

/** How the other server reaches one side. */
export interface ReplicationPath {
  /** Null: as the workers do. */
  url: SecretReference | null;
  /** Of the password, on the other server; null: the subscription holds it. */
  passfile: string | null;
}

export interface TaskQueues {
  light: string;
  bulk: string;
  /** The holder of a copy's snapshot. */
  snapshot: string;
  switch: string;
}

export const DEFAULT_TASK_QUEUES: TaskQueues = {
  light: 'godwit',
  bulk: 'godwit-bulk',
  snapshot: 'godwit-snapshot',
  switch: 'godwit-switch',
};

/** Weekly window in which an attempt may begin. */
export interface CutoverWindow {
  days: number[]; // 0 = Sunday … 6, as Date#getUTCDay
  /** Minutes since midnight, UTC. `to` below `from` runs over midnight. */
  from: number;
  to: number;
}

/** Something that must point at the primary. */
export type NormalEndpoint = NormalPgBouncer | NormalMultiHost | NormalHook | NormalNone;

export type NormalPgBouncer = {
  kind: 'pgbouncer';
  name: string;
  /** URL of the admin console (`…/pgbouncer`). */
  admin: SecretReference;
  /** Entry in `[databases]`. */
  database: string;
  /** Path of pgbouncer.ini, as the worker sees it. */
  configFile: string;
  /** Host and port to write for each side; null: those of the side's URL. */
  hosts: { source: HostPort | null; target: HostPort | null };
};

/** Clients that know both hosts, and choose by `default_transaction_read_only`. */
export type NormalMultiHost = {
  kind: 'multiHost';
  name: string;
  /** Whose sessions are ended on the side that has closed; null: everybody's. */
  roles: string[] | null;
  /** Values of application_name; null: any. */
  applications: string[] | null;
};

/** A call of the user's own. */
export type NormalHook = {
  kind: 'hook';
  name: string;
  url: string;
  /** Bearer token. */
  token: SecretReference | null;
  /** `status` null: the body says it. */
  check: { url: string; status: { source: number; target: number } | null };
  /** Null: it can't hold clients. */
  hold: { pause: string; resume: string } | null;
  /** Of one call. */
  timeout: Milliseconds;
  /** Host and port to name for each side; null: those of the side's URL. */
  hosts: { source: HostPort | null; target: HostPort | null };
};

/** Clients that nobody moves, on purpose. */
export type NormalNone = { kind: 'none'; name: string };

export interface HostPort {
  host: string;
  port: number;
}
