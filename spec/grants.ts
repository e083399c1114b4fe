/** What `godwit plan --grants` prints: what an administrator runs, so that the roles of the migration need not be superusers. */
import type { UnitRef } from './units.js';

export const PLATFORMS = ['postgres', 'rds', 'aurora', 'cloudsql'] as const;
export type Platform = (typeof PLATFORMS)[number];

export interface Grant {
  /** One statement, fine to run twice. */
  sql: string;
  /** What it is for, in a sentence. */
  why: string;
  /** The role has it already. */
  held: boolean;
}

/** A setting that no statement of a session changes. */
export interface ServerSetting {
  name: string;
  found: string;
  wanted: string;
  /** Where it is changed on this platform. */
  how: string;
}

export interface SideGrants {
  unit: UnitRef;
  side: 'source' | 'target';
  /** Of the URL. */
  role: string;
  database: string;
  serverVersion: string;
  platform: Platform;
  /** A superuser needs none of this. */
  superuser: boolean;
  statements: Grant[];
  settings: ServerSetting[];
  /** What no statement can give; a migration would stop there. */
  impossible: string[];
}
