/** What repairs and undos wrote down of each row: `godwit.reconciliation_audit`, see sql/state.sql. */
import type { RepairSummary } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import type { Session } from '../postgres/session.js';
import type { TableName } from '../postgres/statements.js';
import type { Image, Key } from '../postgres/validation/compared-table.js';
import type { RepairRun } from '../reconciliation-contract.js';
import type { Change } from './writes.js';

/** Why of an entry: a row of the standby that replication brings back. Nobody counts it. */
export const MADE_WAY = 'made way for the row that replication brings';

export interface AuditEntry extends TableName {
  id: string;
  finding: string;
  side: Primary;
  key: Key;
  action: Change['action'];
  before: Image | null;
  after: Image | null;
  why: string;
}

/** Those of a repair that are `state`, in the order of their ids. */
export async function entriesOf(
  keeping: Session,
  repair: string,
  state: 'begun' | 'done',
  order: 'oldest first' | 'newest first',
): Promise<AuditEntry[]> {
  return keeping.rows<AuditEntry & Record<string, unknown>>(
    `select id::text as id, finding::text as finding, side, schema_name as schema, table_name as name, key, action, before, after, why
     from godwit.reconciliation_audit a where repair = $1 and state = $2 order by a.id ${order === 'oldest first' ? 'asc' : 'desc'}`,
    [repair, state],
  );
}

/** Counted from the audit, so that it is the same for whoever resumes. */
export async function summaryOf(
  keeping: Session,
  { repair, run }: Pick<RepairRun, 'repair' | 'run'>,
  outcome: RepairSummary['outcome'],
  began: number,
): Promise<RepairSummary> {
  const counts = await keeping.rows<{ state: string; action: Change['action']; rows: number }>(
    `select state, action, count(*)::int as rows from godwit.reconciliation_audit where repair = $1 and why <> $2 group by 1, 2`,
    [repair, MADE_WAY],
  );
  const of = (state: string, action?: Change['action']): number =>
    counts
      .filter((one) => one.state === state && (action === undefined || one.action === action))
      .reduce((sum, { rows }) => sum + rows, 0);
  return {
    repair,
    run,
    outcome,
    inserted: of(outcome, 'insert'),
    updated: of(outcome, 'update'),
    deleted: of(outcome, 'delete'),
    refused: of(outcome === 'undone' ? 'undo-refused' : 'refused'),
    unneeded: outcome === 'undone' ? 0 : of('unneeded'),
    tookMs: Math.round(performance.now() - began),
  };
}
