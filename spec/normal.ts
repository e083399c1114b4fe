/**
 * The normal form of a migration: defaults applied, durations in milliseconds, sizes in bytes.
 * Made once, by the `normalize` activity; workflow code and activities know only this form, so that a
 * changed default never breaks a running migration. It holds references to secrets, never a secret.
 */
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
  gates: NormalGate[];
  rollback: { databases: Milliseconds; infrastructure: Milliseconds; services: Milliseconds; traffic: Milliseconds };
}

/** A point that waits for people. `unit` null: one gate for the whole stage. */
export interface NormalGate {
  /** `switch`, `finalize`, or with a unit `switch:database/orders`. */
  id: string;
  stage: Stage;
  unit: UnitRef | null;
  /** How many different people; 0 turns the gate off. */
  approvals: number;
  validFor: Milliseconds;
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
  tables: { include: string[]; exclude: string[] };
  schema: 'copy' | 'existing';
  endpoints: NormalEndpoint[];
  copy: {
    /** Ranges copied at once. */
    parallelism: number;
    /** Aim for the size of one range of a table. */
    rangeSize: Bytes;
    /** Bytes a second over all ranges; null: unlimited. */
    rateLimit: Bytes | null;
  };
  cutover: {
    /** From the first PAUSE to the last RESUME; past it the attempt undoes itself. */
    maxPause: Milliseconds;
    /** An attempt begins only while a marker needs less than this to arrive. */
    maxLag: Milliseconds;
    attempts: number;
    waitBetweenAttempts: Milliseconds;
    window: CutoverWindow | null;
  };
  watch: {
    /** How long the way back stays open. */
    for: Milliseconds;
    /** Rhythm of lag and health checks. */
    every: Milliseconds;
    /** Rhythm of validation while watching; null: none. */
    validateEvery: Milliseconds | null;
    onFailure: 'undo' | 'hold';
  };
  validation: {
    parallelism: number;
    /** Rows of one leaf that is read whole once its hash differs. */
    leafRows: number;
    /** How long a row or table lock may be waited for to settle a suspect. */
    lockTimeout: Milliseconds;
    /** Tables left out, as patterns; the certificate names them. */
    exclude: string[];
  };
  /** Task queues by kind of work; a unit may name its own for workers next to its databases. */
  taskQueues: TaskQueues;
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
  switch: string;
}

export const DEFAULT_TASK_QUEUES: TaskQueues = { light: 'godwit', bulk: 'godwit-bulk', switch: 'godwit-switch' };

/** Weekly window in which an attempt may begin. */
export interface CutoverWindow {
  days: number[]; // 0 = Sunday … 6, as Date#getUTCDay
  /** Minutes since midnight, UTC. `to` below `from` runs over midnight. */
  from: number;
  to: number;
}

/** Something that must point at the primary. */
export type NormalEndpoint = {
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

export interface HostPort {
  host: string;
  port: number;
}
