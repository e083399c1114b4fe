/** What preflight reports. */
import type { UnitRef } from './units.js';

export interface Finding {
  /** Stable, for scripts: `wal-level`, `no-replica-identity`, … */
  id: string;
  /** An `error` stops the migration before it changes anything. */
  severity: 'error' | 'warning' | 'info';
  unit: UnitRef;
  side: 'source' | 'target' | 'both' | 'endpoint';
  /** One sentence. */
  title: string;
  /** What was found, and what was expected. */
  evidence: string;
  /** How to mend it: a statement, a setting or a sentence, in order. */
  repair: string[];
}
