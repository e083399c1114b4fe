/** Takes a repair back from its audit, newest first: each row becomes what it was, if it is still what the repair made of it. */
import type { Milliseconds } from '../../spec/normal.js';
import type { RepairSummary } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { cancellation, counting, heartbeat, stoppable } from '../activity-context.js';
import { failure } from '../failure.js';
import { sqlState } from '../postgres/errors.js';
import type { Session } from '../postgres/session.js';
import { nameOf } from '../postgres/statements.js';
import { statementsOn, type ComparedTable } from '../postgres/validation/compared-table.js';
import { requireCaughtUp } from '../postgres/validation/proof.js';
import type { RepairRun } from '../reconciliation-contract.js';
import { entriesOf, summaryOf, type AuditEntry } from './audit.js';
import { atWork, describedTables, type Place } from './repair.js';
import { CATCH_UP_TIMEOUT_MS } from './rows.js';
import { recount } from './state.js';
import { changeOf, RowWrites } from './writes.js';

type Undo = Pick<RepairRun, 'repair' | 'normal' | 'by'>;

/** The activity. What was undone before stays so; it can be run as often as one likes. */
export async function undoRepair(undo: Undo): Promise<RepairSummary> {
  return stoppable(() => undoRepairUntil(undo, cancellation()));
}

/**
 * The same, ended by any signal. Fails with `ReplicationBroken` where the standby doesn't catch up; what is left is undone by the next.
 * @param patience how long it may take to catch up
 */
export async function undoRepairUntil(
  undo: Undo,
  signal: AbortSignal,
  patience: Milliseconds = CATCH_UP_TIMEOUT_MS,
): Promise<RepairSummary> {
  const began = performance.now();
  return atWork(undo.normal, `${undo.repair} undo`, signal, async (place) => {
    const { keeping } = place;
    const known = await keeping.row<{ run: string; state: string }>(
      'select run, state from godwit.reconciliation_repair where repair = $1',
      [undo.repair],
    );
    if (known === undefined) {
      throw failure(
        'InvalidSpec',
        `this database knows no repair ${undo.repair}`,
        'Its report names the repairs of a run; `godwit reconcile report` shows it',
      );
    }
    if (known.state === 'running') {
      throw failure('InvalidSpec', `repair ${undo.repair} has not ended`, 'Abort it, or let it end, then undo it');
    }
    await keeping.run(`update godwit.reconciliation_repair set state = 'undoing' where repair = $1`, [undo.repair]);
    const entries = await entriesOf(keeping, undo.repair, 'done', 'newest first');
    const tables = await describedTables(place.ends, undo.normal, entries);
    let last = await lastUndone(keeping, undo.repair);
    for (const [done, entry] of entries.entries()) {
      signal.throwIfAborted();
      await place.admit(place.hands.of(entry.side));
      // what was taken back on one side may be on its way to the other, and would arrive on top of what is restored there
      if (last !== null && last !== entry.side) await requireCaughtUp(place.proof, place.ends, patience, signal);
      last = entry.side;
      await undoOne(place, tables.get(nameOf(entry)), entry);
      heartbeat(
        counting({
          unit: `database/${undo.normal.name}`,
          phase: 'undo of a repair',
          what: 'rows',
          done: done + 1,
          total: entries.length,
          detail: `${entry.schema}.${entry.name}`,
        }),
      );
    }
    await recount(keeping, known.run);
    await keeping.run(
      `update godwit.reconciliation_repair set state = 'undone', ended_at = clock_timestamp() where repair = $1`,
      [undo.repair],
    );
    return summaryOf(keeping, { repair: undo.repair, run: known.run }, 'undone', began);
  });
}

/** The side that an earlier attempt has ended with. */
async function lastUndone(keeping: Session, repair: string): Promise<Primary | null> {
  const entry = await keeping.row<{ side: Primary }>(
    `select side from godwit.reconciliation_audit a where repair = $1 and state = 'undone' order by a.id limit 1`,
    [repair],
  );
  return entry?.side ?? null;
}

async function undoOne({ hands, keeping }: Place, table: ComparedTable | undefined, entry: AuditEntry): Promise<void> {
  const written = hands.of(entry.side);
  if (table === undefined) return mark(keeping, entry, 'undo-refused', 'the table can no longer be compared');
  const audit = entry.side === 'target' ? written : keeping;
  try {
    await written.transaction(async () => {
      await statementsOn(table, written).lockRows(written, [entry.key], false, 'update');
      const [is = null] = await statementsOn(table, written).images(written, [entry.key]);
      if (changeOf(is, entry.before) === null)
        return mark(audit, entry, 'undone', entry.why === '' ? 'it was so already' : entry.why);
      if (changeOf(is, entry.after) !== null) return mark(audit, entry, 'undo-refused', 'it changed since the repair');
      const change = changeOf(is, entry.before);
      const writes = await RowWrites.of(written, statementsOn(table, written));
      if (change !== null && (await writes.write(written, entry.key, change)) !== 1) {
        return mark(audit, entry, 'undo-refused', 'it was not there to be changed');
      }
      return mark(audit, entry, 'undone', entry.why);
    });
  } catch (error) {
    if (!(error instanceof Error) || !/^(22|23|44|P0)/.test(sqlState(error) ?? '')) throw error;
    await mark(keeping, entry, 'undo-refused', error.message);
  }
}

async function mark(session: Session, entry: AuditEntry, state: 'undone' | 'undo-refused', why: string): Promise<void> {
  await session.run(
    `update godwit.reconciliation_audit set state = $2, why = $3, at = clock_timestamp() where id = $1`,
    [entry.id, state, why],
  );
  if (state === 'undone') {
    await session.run(`update godwit.reconciliation_finding set state = 'confirmed' where id = $1`, [entry.finding]);
  }
}
