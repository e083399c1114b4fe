/** What `godwit plan` prints and `godwit start --plan` binds to. */
import type { Finding } from './findings.js';
import type { NormalMigration } from './normal.js';
import type { Stage, UnitRef } from './units.js';

export interface PlanStep {
  /** Position, from 1. */
  seq: number;
  unit: UnitRef;
  stage: Stage;
  title: string;
  /** What it changes, each as a person would name it: `source: publication godwit_…`. */
  touches: string[];
  /** How it is undone; null: it can't be, and a gate asks before. */
  undo: string | null;
  /** What must hold meanwhile, or it goes back or asks, a line each: `error-ratio at most 1%, else undo after 5m`. */
  guards?: string[];
  /** Gate that waits before it, or null. */
  gate: string | null;
  estimate: { seconds: number | null; basis: string };
}

/** What the plan was made from; a start with a plan whose facts have changed since is refused. */
export type PlanFacts = DatabaseFacts | TrafficFacts;

export interface TrafficFacts {
  unit: UnitRef;
  /** Listener, rules or records. */
  place: string;
  blue: string;
  green: string;
  /** sha256 over the before-image; null: it could not be read. */
  found: string | null;
}

export interface DatabaseFacts {
  unit: UnitRef;
  source: { systemIdentifier: string; serverVersion: string; database: string };
  target: { systemIdentifier: string; serverVersion: string; database: string };
  tables: number;
  bytes: number;
  rowsEstimate: number;
  /** sha256 over names, columns, types and constraints of all tables in scope. */
  schemaSignature: string;
}

export interface Plan {
  version: 1;
  name: string;
  /** sha256 over spec, steps without estimates, system identifiers and schema signatures. Approvals bind to it. */
  digest: string;
  spec: NormalMigration;
  facts: PlanFacts[];
  steps: PlanStep[];
  findings: Finding[];
}
