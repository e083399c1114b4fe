/**
 * Names of everything Godwit makes in a database, one place. `key` is the scope's: 12 hex digits, so that
 * two migrations in one database never share an object and every name stays under 63 bytes.
 */
import type { Primary } from '../../spec/status.js';

export const SCHEMA = 'godwit';

export { scopeKey } from '../../spec/scope-key.js';

export interface ScopeNames {
  /** Publication of the same name on both sides. */
  publication: string;
  /** Slot on the side that is `from`, and subscription of the same name on the other. */
  slot: (from: Primary) => string;
  marker: string;
  fence: string;
  ddlFence: string;
  breach: string;
  /** Statement triggers on every table in scope. */
  trigger: string;
  truncateTrigger: string;
  /** Trigger and function that keep TRUNCATE from tables with a row filter. */
  truncateGuard: string;
}

export function scopeNames(key: string): ScopeNames {
  return {
    publication: `godwit_${key}`,
    slot: (from) => (from === 'source' ? `godwit_${key}_forward` : `godwit_${key}_reverse`),
    marker: `marker_${key}`,
    fence: `fence_${key}`,
    ddlFence: `ddl_fence_${key}`,
    breach: `breach_${key}`,
    trigger: `godwit_fence_${key}`,
    truncateTrigger: `godwit_fence_truncate_${key}`,
    truncateGuard: `truncate_guard_${key}`,
  };
}

/** Stands for the scope's key in the names of what a sync group has for itself: see copy/groups.ts. */
export const groupKey = (key: string, seq: number): string => `${key}_${seq}`;

/** Event triggers of the fence, by what fires them. */
export function ddlTriggers(key: string): { end: string; drop: string } {
  const { ddlFence } = scopeNames(key);
  return { end: `${ddlFence}_end`, drop: `${ddlFence}_drop` };
}
