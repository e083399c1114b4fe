/** Takes a repair back from its audit, newest first: each row becomes what it was, if it is still what the repair made of it. */
import type { RepairSummary } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { cancellation, heartbeat, stoppable } from '../activity-context.js';
import { failure } from '../failure.js';
import { sqlState } from '../postgres/errors.js';
import type { Session } from '../postgres/session.js';
import { nameOf, type TableName } from '../postgres/statements.js';
import { statementsOn, type ComparedTable, type Image, type Key } from '../postgres/validation/compared-table.js';
import type { RepairRun } from '../reconciliation-contract.js';
import { admitRepair } from './admit.js';
import { atWork, describedTables, MADE_WAY, recount, summaryOf, type Place } from './repair.js';
import { CATCH_UP_TIMEOUT_MS } from './rows.js';
import { changeOf, RowWrites, type Change } from './writes.js';

type Undo = Pick<RepairRun, 'repair' | 'normal' | 'by'>;

interface Entry extends TableName {
  id: string;
  finding: string;
  side: Primary;
  key: Key;
  action: Change['action'];
  before: Image | null;
  after: Image | null;
  why: string;
}

/** The activity. What was undone before stays so; it can be run as often as one likes. */
export async function undoRepair(undo: Undo): Promise<RepairSummary> {
  return stoppable(() => undoRepairUntil(undo, cancellation()));
}

export async function undoRepairUntil(undo: Undo, signal: AbortSignal): Promise<RepairSummary> {
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
    const entries = await keeping.rows<Entry & Record<string, unknown>>(
      `select id::text as id, finding::text as finding, side, schema_name as schema, table_name as name, key, action, before, after, why
       from godwit.reconciliation_audit a where repair = $1 and state = 'done' order by a.id desc`,
      [undo.repair],
    );
    const tables = await describedTables(place.ends, undo.normal, entries);
    const admitted = new Set<Session>();
    let last: Entry | null = null;
    for (const [done, entry] of entries.entries()) {
      signal.throwIfAborted();
      const written = place.hands.of(entry.side);
      if (!admitted.has(written)) await admitRepair(written);
      admitted.add(written);
      // what was taken back on one side may be on its way to the other
      if (last !== null && last.side !== entry.side)
        await place.proof.caughtUp(place.ends, CATCH_UP_TIMEOUT_MS, signal);
      last = entry;
      await undoOne(place, tables.get(nameOf(entry)), entry);
      heartbeat({
        unit: `database/${undo.normal.name}`,
        phase: 'undo of a repair',
        what: 'rows',
        done: done + 1,
        total: entries.length,
        bytesDone: 0,
        bytesTotal: 0,
        bytesPerSecond: 0,
        detail: `${entry.schema}.${entry.name}`,
      });
    }
    await recount(keeping, known.run);
    await keeping.run(
      `update godwit.reconciliation_repair set state = 'undone', ended_at = clock_timestamp() where repair = $1`,
      [undo.repair],
    );
    return undoneSummary(keeping, undo.repair, known.run, began);
  });
}

async function undoOne({ hands, keeping }: Place, table: ComparedTable | undefined, entry: Entry): Promise<void> {
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

async function mark(session: Session, entry: Entry, state: 'undone' | 'undo-refused', why: string): Promise<void> {
  await session.run(
    `update godwit.reconciliation_audit set state = $2, why = $3, at = clock_timestamp() where id = $1`,
    [entry.id, state, why],
  );
  if (state === 'undone') {
    await session.run(`update godwit.reconciliation_finding set state = 'confirmed' where id = $1`, [entry.finding]);
  }
}

async function undoneSummary(keeping: Session, repair: string, run: string, began: number): Promise<RepairSummary> {
  const repaired = await summaryOf(keeping, { repair, run }, began);
  const counts = await keeping.rows<{ state: string; action: Change['action']; rows: number }>(
    `select state, action, count(*)::int as rows from godwit.reconciliation_audit
     where repair = $1 and state in ('undone', 'undo-refused') and why <> $2 group by 1, 2`,
    [repair, MADE_WAY],
  );
  const of = (state: string, action?: Change['action']): number =>
    counts
      .filter((one) => one.state === state && (action === undefined || one.action === action))
      .reduce((sum, { rows }) => sum + rows, 0);
  return {
    ...repaired,
    outcome: 'undone',
    inserted: of('undone', 'insert'),
    updated: of('undone', 'update'),
    deleted: of('undone', 'delete'),
    refused: of('undo-refused'),
    unneeded: 0,
  };
}
