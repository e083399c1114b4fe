/** Mends what was found, batch by batch, each row re-read under lock. */
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import type { RepairRun } from '../reconciliation-contract.js';

export interface DryStatement {
  schema: string;
  table: string;
  key: string[];
  action: 'insert' | 'update' | 'delete';
  /** Where it would run. */
  side: Primary;
  statement: string;
  why: string;
}

/** What a repair would run, row by row; changes nothing. */
export const dryRun: (run: RepairRun) => AsyncIterable<DryStatement> = () => {
  throw failure('Unexpected', 'not built yet');
};
