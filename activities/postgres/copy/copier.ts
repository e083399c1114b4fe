/**
 * Copies ranges out of the snapshot that a holder keeps. Any number of these work on one copy, in any processes: each takes
 * the next range that nobody has, and a range, its rows and the note that it is done are one transaction of the target.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cancellation, stoppable } from '../../activity-context.js';
import type { CopyInput, DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import { scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import type { Sides } from '../sides.js';
import { prepareSyncTables } from '../schema/prepare.js';
import { currentGroup, groupsOf, isFollowing, tablesToCopy, type Group } from './groups.js';
import { announce, exportedNames } from './holder.js';
import { inParallel } from './parallel.js';
import { describeTables, type CopyTable } from './plan.js';
import { SyncProgress } from './progress.js';
import { finishRange, plannedRanges, takeRange } from './ranges.js';
import { RateLimit } from './rate.js';
import { copyRange } from './rows.js';
import { admit, SyncRun } from './sessions.js';
import { joinSnapshot, type Snapshot } from './snapshot.js';
import { throttled } from './throttle.js';
import { nameOf } from '../statements.js';

/** Between two looks for a snapshot to read. */
const LOOK_MS = 100;
const SUM_MS = 1_000;

interface Pair {
  reader: Session;
  writer: Session;
}

/** One copier of several. Returns when no range is left that nobody works on. Heartbeats `Progress`. */
export async function copyRanges({ move, copier }: CopyInput): Promise<void> {
  await stoppable(() => copyUntil(move, copier, cancellation()));
}

export async function copyUntil(move: DatabaseMove, copier: number, signal: AbortSignal): Promise<void> {
  const run = new SyncRun(move, `copy${copier}`);
  const progress = new SyncProgress(move.database.unit, copier === 0);
  const stop = (): void => void run.end();
  signal.throwIfAborted();
  signal.addEventListener('abort', stop);
  try {
    await using sides = await run.takeOver();
    await prepareSyncTables(sides.target);
    const found = await awaitSnapshot(run, sides, progress, signal);
    if (found === null) return;
    const began = performance.now();
    try {
      await copyAll(run, sides, found.seq, found.readers, progress, signal);
    } finally {
      await closeAll(found.readers);
      if (!sides.target.lost)
        await tell(sides.target, run.key, copier, found.readers[0].name, performance.now() - began);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    progress.stop();
  }
}

interface Joined {
  seq: number;
  lsn: string | null;
  readers: [Snapshot, ...Snapshot[]];
}

/** Joins the snapshot as soon as it is there, and waits until its ranges are planned. Null when there is nothing left to copy. */
async function awaitSnapshot(
  run: SyncRun,
  sides: Sides,
  progress: SyncProgress,
  signal: AbortSignal,
): Promise<Joined | null> {
  const { target } = sides;
  progress.detail = 'waiting for a snapshot of the source';
  let joined: Joined | null = null;
  try {
    for (;;) {
      if (await isFollowing(sides, run.key)) break;
      const group = await currentGroup(target, run.key);
      const isLost = joined !== null && joined.readers.some(({ session }) => session.lost);
      if (joined !== null && (isLost || joined.seq !== group?.seq || joined.lsn !== group.lsn)) {
        await closeAll(joined.readers);
        joined = null;
      }
      if (group !== null) {
        if (group.state === 'live' && (await plannedRanges(target, run.key)).length === 0) break;
        joined ??= await join(run, target, group);
        if (joined !== null && group.state === 'live') return joined;
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  } catch (error) {
    await closeAll(joined?.readers ?? []);
    throw error;
  }
  await closeAll(joined?.readers ?? []);
  return null;
}

const closeAll = (snapshots: Snapshot[]): Promise<void[]> =>
  Promise.all(snapshots.map(({ session }) => session.close()));

/** Null: not now. */
async function join(run: SyncRun, target: Session, { seq, lsn }: Group): Promise<Joined | null> {
  const tables = await tablesToCopy(target, run.key, await scopeTables(target, run.key));
  const readers = await joinAll(run, await exportedNames(target, run.key), tables);
  if (readers === 'gone') return null;
  if (readers === 'contended') {
    await target.run(
      'update godwit.copy_group set contended = true where scope = $1 and seq = $2 and lsn = $3::pg_lsn',
      [run.key, seq, lsn],
    );
    return null;
  }
  await announce(target, run.key, seq, readers[0].name);
  return { seq, lsn, readers };
}

/**
 * As many readers as work at once, each with all tables locked before the first row is read: one that came later could wait
 * behind a TRUNCATE that waits for the others.
 */
async function joinAll(
  run: SyncRun,
  names: string[],
  tables: ScopeTable[],
): Promise<[Snapshot, ...Snapshot[]] | 'gone' | 'contended'> {
  const { parallelism, workers = 1 } = run.move.database.copy;
  const hands = Array.from({ length: Math.ceil(parallelism / workers) }, (_, i) => `read ${i + 1}`);
  for (const name of names) {
    const outcomes = await Promise.allSettled(hands.map((role) => joinSnapshot(run, name, tables, role)));
    const ends = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'failed'));
    const joined = ends.filter((end) => typeof end !== 'string');
    const [first, ...others] = joined;
    if (first !== undefined && joined.length === hands.length) return [first, ...others];
    await closeAll(joined);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    if (ends.includes('contended')) return 'contended';
  }
  return 'gone';
}

async function copyAll(
  run: SyncRun,
  { source, target }: Sides,
  seq: number,
  readers: [Snapshot, ...Snapshot[]],
  progress: SyncProgress,
  signal: AbortSignal,
): Promise<void> {
  const { key, move } = run;
  const { rateLimit, workers = 1 } = move.database.copy;
  const tables = await tablesToCopy(target, key, await scopeTables(target, key));
  const described = new Map((await describeTables(readers[0].session, tables)).map((table) => [nameOf(table), table]));
  const planned = await plannedRanges(target, key);
  for (const { estimate } of planned) progress.expect(estimate);
  const closed = (await groupsOf(target, key)).length - 1;
  progress.begin('ranges', planned.length, 'copying rows');
  const limit = new RateLimit(rateLimit === null ? null : rateLimit / workers);
  const token = await tokenOf(target, key);
  const pairs: Pair[] = [];
  const done = new AbortController();
  const over = AbortSignal.any([signal, done.signal]);
  const watching = [
    throttled(source, move.database.copy.slowDown, limit, over),
    ...(workers > 1 ? [sumUp(target, key, progress, over)] : []),
  ];
  try {
    for (const [i, { session }] of readers.entries()) {
      const writer = await run.open('target', `write ${i + 1}`);
      pairs.push({ reader: session, writer });
      await admit(writer, token, tables);
    }
    let left = true;
    await inParallel(
      pairs,
      () => (left ? true : undefined),
      async (pair) => {
        signal.throwIfAborted();
        left &&= await copyNext(pair, run, seq, described, limit, progress, closed);
      },
    );
  } finally {
    done.abort();
    await Promise.all(watching);
    await Promise.all(pairs.map(({ writer }) => writer.close()));
  }
}

/** False when no range is left that nobody works on. */
async function copyNext(
  { reader, writer }: Pair,
  { key }: SyncRun,
  seq: number,
  described: Map<string, CopyTable>,
  limit: RateLimit,
  progress: SyncProgress,
  closed: number,
): Promise<boolean> {
  const copied = await writer.transaction(async () => {
    const range = await takeRange(writer, key, seq);
    const table = range === null ? undefined : described.get(nameOf(range.table));
    if (range === null || table === undefined) return null;
    const place = `${table.schema}.${table.name}`;
    progress.detail = closed === 0 ? `copying ${place}` : `copying ${place}, out of snapshot ${closed + 1}`;
    const result = await copyRange(reader, writer, table, range, limit, (bytes) => (progress.bytesDone += bytes));
    await finishRange(writer, key, table, range.seq, result);
    return { estimate: range.estimate, bytes: result.bytes };
  });
  if (copied === null) return false;
  progress.finishRange(copied.estimate, copied.bytes);
  await faultPoint('sync.range');
  return true;
}

/** What all copiers have done, every second, for the one that tells. Never throws. */
async function sumUp(target: Session, key: string, progress: SyncProgress, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(SUM_MS, undefined, { signal });
      const row = await target.row<{ done: string; bytes: string; estimate: string }>(
        `select count(*) as done, coalesce(sum(bytes), 0) as bytes, coalesce(sum(estimate), 0) as estimate
         from godwit.copy_range where scope = $1 and state = 'done'`,
        [key],
      );
      if (row !== undefined) progress.setDone(Number(row.done), Number(row.estimate), Number(row.bytes));
    }
  } catch {
    // Told to stop; or the target is gone, which the copy itself will meet.
  }
}

async function tokenOf(target: Session, key: string): Promise<string> {
  const row = await target.row<{ token: string | null }>('select token from godwit.copy_run where scope = $1', [key]);
  if (row?.token == null) throw failure('CopyFailed', 'the copy has no token for the fence of the target');
  return row.token;
}

/** The first copier's time is the copy's. */
async function tell(target: Session, key: string, copier: number, name: string, tookMs: number): Promise<void> {
  await target.run('delete from godwit.copy_snapshot where scope = $1 and name = $2', [key, name]);
  if (copier > 0) return;
  await target.run('update godwit.copy_run set copy_ms = copy_ms + $2 where scope = $1', [key, Math.round(tookMs)]);
}
