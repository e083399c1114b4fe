/**
 * The first copy: slot and snapshot, rows, keys and indexes, then the subscription that carries on from the slot. What is
 * done is kept on the target, so that a pause, a crash or another worker loses little.
 */
import type { SyncFigures } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { cancellation, stoppable } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { scopeTables } from '../scope.js';
import type { Session } from '../session.js';
import { ensureSubscription } from '../replication/subscription.js';
import { applyDeferred } from '../schema/apply.js';
import { prepareSyncTables } from '../schema/prepare.js';
import { copyUntil } from './copier.js';
import { isFollowing, mergeGroups, rowsAreThere } from './groups.js';
import { holdUntil, tidy } from './holder.js';
import { SyncProgress } from './progress.js';
import { storedRanges } from './ranges.js';
import { SyncRun } from './sessions.js';

/**
 * All of it in one process: holder, one copier, and the end. Called again after whatever happened, it goes on.
 * Cancelled, it ends at once and leaves no slot behind, which would hold the source's WAL back through a long pause.
 * Fails with `CopyFailed`, `TargetNotEmpty`, `Blocked` or `PermissionDenied`.
 */
export async function initialSync(move: DatabaseMove): Promise<SyncFigures> {
  return stoppable(() => syncAll(move));
}

async function syncAll(move: DatabaseMove): Promise<SyncFigures> {
  const signal = cancellation();
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  try {
    let heldNow = (): void => undefined;
    const held = new Promise<void>((resolve) => (heldNow = resolve));
    const holding = holdUntil(move, either, heldNow);
    const copying = held.then(() => copyUntil(move, 0, either));
    try {
      // The holder returns when all rows are there, so either of them ends first only by failing.
      await Promise.all([holding, copying]);
    } finally {
      over.abort();
      await Promise.allSettled([holding, copying]);
    }
    return await finish(move);
  } catch (error) {
    await tidy(move, !signal.aborted);
    throw error;
  }
}

/**
 * What comes after the rows: keys and indexes, the tables of earlier snapshots brought up to date, and the subscription.
 * Fails with `CopyFailed` while rows are missing.
 */
export async function finishSync(move: DatabaseMove): Promise<SyncFigures> {
  return stoppable(() => finish(move));
}

async function finish(move: DatabaseMove): Promise<SyncFigures> {
  const signal = cancellation();
  const run = new SyncRun(move, 'finish');
  const progress = new SyncProgress(move.database.unit);
  // Ends what blocks, CREATE INDEX included; the run below then fails.
  const stop = (): void => void run.end();
  signal.addEventListener('abort', stop);
  try {
    await using sides = await run.takeOver();
    const { key } = move;
    if (await isFollowing(sides, key)) return await figuresOf(sides.target, key);
    await prepareSyncTables(sides.target);
    if (!(await rowsAreThere(sides, key))) {
      throw failure('CopyFailed', 'not all rows are on the target yet', 'Copy them first: initialSync does');
    }
    const tables = await scopeTables(sides.target, key);
    const began = performance.now();
    await applyDeferred(run, tables, progress);
    await sides.target.run('update godwit.copy_run set index_ms = index_ms + $2 where scope = $1', [
      key,
      Math.round(performance.now() - began),
    ]);
    signal.throwIfAborted();
    await mergeGroups(move, sides, tables, progress);
    signal.throwIfAborted();
    progress.begin('tables', tables.length, 'starting replication');
    await ensureSubscription(sides.target, move.database, key, 'source');
    return await figuresOf(sides.target, key);
  } finally {
    signal.removeEventListener('abort', stop);
    progress.stop();
  }
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
