/**
 * What a check is: rules, each one id with its severity and its reason, and a function that looks and reports.
 * A rule's words are the finding's title and its row in docs/preflight.md, so that neither can drift from the other.
 */
import type { Finding } from '../../spec/findings.js';
import type { DatabaseMove } from '../contract.js';
import type { PgBouncerAdmin } from '../pgbouncer/admin.js';
import type { NormalPgBouncer } from '../../spec/normal.js';
import type { ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';

export interface Rule {
  severity: Finding['severity'];
  /** One sentence: the finding's title. */
  title: string;
  /** What goes wrong if nobody minds. */
  why: string;
  /** How it is mended, in general; a finding names the objects. */
  mend: string;
}

export type Rules<Id extends string> = Record<Id, Rule>;

/** What a check reports. The rest of the finding comes from its rule. */
export interface Found<Id extends string> {
  id: Id;
  evidence: string;
  repair: string[];
  /** By default the side that the check ran on. */
  side?: Finding['side'];
}

/** What every check may look at. */
export interface Look {
  move: DatabaseMove;
  /** The tables in scope, as the source has them now; empty when the source can't be read. */
  tables: ScopeTable[];
  /** Whether this very migration holds its tables already: then what it made on the target is its own. */
  claimed: boolean;
}

export interface Sessions {
  source: Session;
  target: Session;
}

/** A PgBouncer: the one kind with a console of its own. */
export interface OpenEndpoint {
  endpoint: NormalPgBouncer;
  admin: PgBouncerAdmin;
}

export type Check<Id extends string = string> = {
  topic: string;
  rules: Rules<Id>;
} & (
  | { on: 'each side' | 'source' | 'target'; find(session: Session, look: Look): Promise<Found<Id>[]> }
  | { on: 'both'; find(sessions: Sessions, look: Look): Promise<Found<Id>[]> }
  | { on: 'endpoint'; find(open: OpenEndpoint, look: Look, sessions: Partial<Sessions>): Promise<Found<Id>[]> }
  | { on: 'specification'; find(look: Look): Promise<Found<Id>[]> }
  | { on: 'source and all endpoints'; find(source: Session, open: OpenEndpoint[], look: Look): Promise<Found<Id>[]> }
);

/** Ties the ids that a check reports to the rules it has. */
export function defineCheck<Id extends string>(check: Check<Id>): Check<Id> {
  return check;
}

/** Parameters $1 and $2 of every statement about the tables in scope. */
export function scopeParameters(tables: ScopeTable[]): [string[], string[]] {
  return [tables.map((table) => table.schema), tables.map((table) => table.name)];
}
