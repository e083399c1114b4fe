/**
 * The quick look at rows: how many there are, and the newest of them. A count is of one moment, so those of two sides are held
 * against each other only as bounds; where that doesn't fit, the keys themselves are compared.
 */
import type { Session } from '../postgres/session.js';
import { keyColumns, statementsOn, type ComparedTable } from '../postgres/validation/compared-table.js';
import { describeComparable } from '../postgres/validation/describe.js';
import type { Dialect } from '../postgres/validation/expression.js';
import { requireCaughtUp, type Ends, type Proof } from '../postgres/validation/proof.js';
import { CATCH_UP_TIMEOUT_MS, type RowsTable } from './rows.js';
import type { ChosenTable } from './tables.js';

const ROUNDS = 3;
/** Highest keys of a table, which are the newest rows where keys are handed out in order. */
const NEWEST_KEYS = 10_000;

export type Counted =
  | { kind: 'fits'; rows: number }
  /** Off, though nobody wrote meanwhile. */
  | { kind: 'off'; rows: number; by: number }
  /** Somebody always wrote. */
  | { kind: 'unclear'; rows: number };

/** Primary, standby once it has caught up, primary again. */
export async function countBoth(ends: Ends, table: ComparedTable, proof: Proof, signal: AbortSignal): Promise<Counted> {
  const count = (session: Session): Promise<number> => statementsOn(table, session).count(session);
  let last: Counted = { kind: 'unclear', rows: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    signal.throwIfAborted();
    const before = await count(ends.primary);
    await requireCaughtUp(proof, ends, CATCH_UP_TIMEOUT_MS, signal);
    const there = await count(ends.standby);
    const after = await count(ends.primary);
    if (there >= Math.min(before, after) && there <= Math.max(before, after)) return { kind: 'fits', rows: after };
    last =
      before === after ? { kind: 'off', rows: after, by: Math.abs(after - there) } : { kind: 'unclear', rows: after };
  }
  return last;
}

/** The newest rows, where a number tells which they are. */
export function newestOf(chosen: ChosenTable, table: ComparedTable): RowsTable | null {
  if (table.source.shape.key.kind !== 'integer') return null;
  return { chosen, table, leaves: null, since: null, newest: NEWEST_KEYS };
}

/** The table with nothing but its key: which rows are missing, and which are too many. Null: it has none. */
export async function keysAlone(
  ends: Ends,
  chosen: ChosenTable,
  table: ComparedTable,
  dialect: Dialect,
): Promise<RowsTable | null> {
  const key = keyColumns(table.source.shape.key).map(({ name }) => name);
  if (key.length === 0) return null;
  const excluded = table.source.shape.columns.map(({ name }) => name).filter((name) => !key.includes(name));
  const narrow = { ...chosen, excluded: [...(chosen.excluded ?? []), ...excluded] };
  const [described] = await describeComparable(ends.primary, ends.standby, [narrow], dialect);
  if (described === undefined || described.table === null) return null;
  return { chosen, table: described.table, leaves: null, since: null, newest: null, keysOnly: true };
}
