/**
 * The first copy: slot and snapshot, rows, keys and indexes, then the subscription that carries on from the slot. What is
 * done is kept on the target, so that a pause, a crash or another worker loses little.
 */
import { CancelledFailure } from '@temporalio/common';
import type { SyncFigures } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { cancellation } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { publisherOf } from '../connection.js';
import { admitCopy } from '../fence.js';
import { scopeNames } from '../names.js';
import { scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import type { Sides } from '../sides.js';
import { isBroken, slotOf } from '../replication/health.js';
import { dropSlot } from '../replication/slot.js';
import { ensureSubscription } from '../replication/subscription.js';
import { applyDeferred } from '../schema/apply.js';
import { prepareSyncTables, requireEmpty } from '../schema/prepare.js';
import { copyTables } from './copy-tables.js';
import { SyncProgress } from './progress.js';
import { storedRanges } from './ranges.js';
import { SyncRun } from './sessions.js';

/**
 * Copies all tables of the scope and starts replication. Called again after whatever happened, it goes on: finished ranges
 * are kept where they still equal the source; with all rows there, only what is missing is made.
 * Cancelled, it ends at once and leaves no slot behind, which would hold the source's WAL back through a long pause.
 * Fails with `CopyFailed`, `TargetNotEmpty`, `Blocked` or `PermissionDenied`.
 */
export async function initialSync(move: DatabaseMove): Promise<SyncFigures> {
  const progress = new SyncProgress(move.database.unit);
  const signal = cancellation();
  // Ends what blocks, CREATE INDEX and CREATE_REPLICATION_SLOT included; the run below then fails, and tidies up.
  const run = new SyncRun(move);
  const stop = (): void => void run.end();
  signal.addEventListener('abort', stop);
  let subscribing = false;
  try {
    await using sides = await run.takeOver();
    if (await isSubscribed(sides.target, move.key)) return await figuresOf(sides.target, move.key);
    signal.throwIfAborted();
    await prepareSyncTables(sides.target);
    const tables = await scopeTables(sides.target, move.key);
    await beginCopy(move, sides, tables);
    if (!(await rowsFitSlot(sides, move.key))) await copyRows(run, sides, tables, progress);
    await measured(sides.target, move.key, 'index_ms', () => applyDeferred(run, tables, progress));
    signal.throwIfAborted();
    subscribing = true;
    progress.begin('tables', tables.length, 'starting replication');
    await subscribe(move, sides.target);
    return await figuresOf(sides.target, move.key);
  } catch (error) {
    if (!subscribing || signal.aborted) await tidy(run);
    if (signal.aborted)
      throw new CancelledFailure('the copy was asked to stop; it goes on where it was when it is run again');
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    progress.stop();
  }
}

async function isSubscribed(target: Session, key: string): Promise<boolean> {
  const found = await target.row('select from pg_subscription where subname = $1', [scopeNames(key).slot('source')]);
  return found !== undefined;
}

/** Before the first row: the tables must be empty, and what fills them is written down for the undo. */
async function beginCopy(move: DatabaseMove, { target }: Sides, tables: ScopeTable[]): Promise<void> {
  await target.transaction(async () => {
    const authority = await target.row('select from godwit.authority where scope = $1 for update', [move.key]);
    if (authority === undefined) {
      throw failure(
        'AuthorityLost',
        'the target holds no authority row of this migration',
        'Run replicationSetup first',
      );
    }
    const begun = await target.row('select from godwit.copy_run where scope = $1', [move.key]);
    if (begun !== undefined) return;
    await requireEmpty(target, tables);
    if (move.database.schema === 'existing') {
      await target.run(
        `insert into godwit.created_object (scope, seq, class, object, undo, type, identity)
         select $1, row_number() over (order by t.schema, t.name), 'pg_class'::regclass, c.oid, 'empty', 'table', t.schema || '.' || t.name
         from json_to_recordset($2::json) as t(schema text, name text, kind text)
         join pg_namespace n on n.nspname = t.schema
         join pg_class c on c.relnamespace = n.oid and c.relname = t.name
         where t.kind = 'r'`,
        [move.key, JSON.stringify(tables)],
      );
    }
    await target.run('insert into godwit.copy_run (scope) values ($1)', [move.key]);
  });
}

/** Whether all rows are there and belong to the slot that is there: then nothing is copied or compared again. */
async function rowsFitSlot(sides: Sides, key: string): Promise<boolean> {
  const run = await sides.target.row<{ lsn: string | null }>(
    'select rows_lsn::text as lsn from godwit.copy_run where scope = $1',
    [key],
  );
  const slot = await slotOf(sides.source, key, 'source');
  return run?.lsn != null && !isBroken(slot) && slot?.confirmedLsn === run.lsn;
}

async function copyRows(run: SyncRun, sides: Sides, tables: ScopeTable[], progress: SyncProgress): Promise<void> {
  const { source, target } = sides;
  progress.detail = 'waiting for open transactions of the source, to take a snapshot';
  await target.run('update godwit.copy_run set rows_lsn = null where scope = $1', [run.key]);
  await dropSlot(source, scopeNames(run.key).slot('source'));
  const token = await admitCopy(target, run.key);
  await measured(target, run.key, 'copy_ms', async () => {
    const { lsn, rangesKept } = await copyTables(run, source, tables, token, progress);
    await target.run('update godwit.copy_run set rows_lsn = $2::pg_lsn, ranges_kept = $3 where scope = $1', [
      run.key,
      lsn,
      rangesKept,
    ]);
  });
}

async function measured(
  target: Session,
  key: string,
  column: 'copy_ms' | 'index_ms',
  work: () => Promise<void>,
): Promise<void> {
  const began = performance.now();
  await work();
  await target.run(`update godwit.copy_run set ${column} = ${column} + $2 where scope = $1`, [
    key,
    Math.round(performance.now() - began),
  ]);
}

async function subscribe(move: DatabaseMove, target: Session): Promise<void> {
  const names = scopeNames(move.key);
  const name = names.slot('source');
  await ensureSubscription(target, {
    name,
    publication: names.publication,
    publisher: publisherOf(move.database, 'source'),
    enabled: true,
  });
}

async function figuresOf(target: Session, key: string): Promise<SyncFigures> {
  const run = await target.row<{ copy_ms: string; index_ms: string; ranges_kept: number }>(
    'select copy_ms, index_ms, ranges_kept from godwit.copy_run where scope = $1',
    [key],
  );
  const ranges = await storedRanges(target, key);
  return {
    tables: new Set(ranges.map((range) => JSON.stringify(range.table))).size,
    rows: ranges.reduce((sum, range) => sum + range.rows, 0),
    bytes: ranges.reduce((sum, range) => sum + range.bytes, 0),
    copyMs: Number(run?.copy_ms ?? 0),
    indexMs: Number(run?.index_ms ?? 0),
    rangesKept: run?.ranges_kept ?? 0,
  };
}

/**
 * No slot is left that nobody reads: it would hold WAL back until the source's disk is full. Only with the lock: a run that
 * was taken over must not take the slot of its successor along.
 */
async function tidy(run: SyncRun): Promise<void> {
  await run.end();
  try {
    await using sides = await run.openBoth('tidy');
    if (!(await run.holdsLock(sides.target)) || (await isSubscribed(sides.target, run.key))) return;
    await dropSlot(sides.source, scopeNames(run.key).slot('source'));
  } catch {
    // A side can't be reached: the next run, or the undo, drops it.
  }
}
