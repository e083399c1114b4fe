/**
 * Holds the snapshot that all copiers read. An activity of its own, on a queue of its own, so that the death of a copier
 * costs its ranges and nothing else. Every copier exports the snapshot, too: it lives while any of these processes does, and a
 * holder that comes after a dead one takes it over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cancellation, isCalledOff, saySilently, stoppable } from '../../activity-context.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { admitCopy } from '../fence.js';
import { scopeNames } from '../names.js';
import { scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import type { Sides } from '../sides.js';
import { isBroken, slotOf } from '../replication/health.js';
import { dropSlot } from '../replication/slot.js';
import { dropSubscription } from '../replication/subscription.js';
import { prepareSyncTables, requireEmpty } from '../schema/prepare.js';
import {
  closeGroup,
  isFollowing,
  liveGroup,
  openGroup,
  prepareGroup,
  rowsAreThere,
  setState,
  tablesToCopy,
} from './groups.js';
import { inParallel } from './parallel.js';
import { describeTables } from './plan.js';
import { SyncProgress } from './progress.js';
import { storedRanges, type StoredRange } from './ranges.js';
import { reconcileTable } from './resume.js';
import { admit, endReaders, isSubscribed, SyncRun } from './sessions.js';
import { filesOf, joinSnapshot, takeSnapshot, type Snapshot } from './snapshot.js';
import { nameOf } from '../statements.js';

/** Between two looks at whether the snapshot is still there and still needed. */
const LOOK_MS = 500;

/**
 * Takes or takes over the snapshot, plans the ranges, and holds it until all rows are there. Called off before that, it drops the
 * slot; at a worker's shutdown it leaves it to whoever comes next. Fails with `DatabaseUnreachable` when the snapshot is lost:
 * the next attempt makes a sync group of the finished tables, and begins another with the rest.
 */
export async function holdSnapshot(move: DatabaseMove): Promise<void> {
  await stoppable(async () => {
    try {
      await holdUntil(move, cancellation());
    } catch (error) {
      if (isCalledOff()) await tidy(move, true);
      throw error;
    }
  });
}

/** @param held called once the snapshot may be read, or needn't be any more */
export async function holdUntil(move: DatabaseMove, signal: AbortSignal, held = (): void => undefined): Promise<void> {
  const run = new SyncRun(move, 'hold');
  const stop = (): void => void run.end();
  const progress = new SyncProgress(move.database.unit);
  signal.throwIfAborted();
  signal.addEventListener('abort', stop);
  try {
    await using sides = await run.takeOver();
    signal.throwIfAborted();
    await prepareSyncTables(sides.target);
    if (await isFollowing(sides, move.key)) return;
    // Its slot was lost or given up: what it would have sent can't be had any more, so all rows are compared with a new snapshot.
    await dropSubscription(sides.target, scopeNames(move.key).slot('source'));
    if (await rowsAreThere(sides, move.key)) return;
    const tables = await scopeTables(sides.target, move.key);
    await beginCopy(move, sides, tables);
    progress.detail = 'waiting for open transactions of the source, to take a snapshot';
    let snapshot =
      (await takeOverSnapshot(run, sides, tables)) ?? (await newSnapshot(run, sides, tables, progress, signal, held));
    for (;;) {
      if (snapshot !== null) {
        progress.stop();
        saySilently();
        held();
        try {
          if (await hold(run, sides, snapshot, signal)) return;
        } finally {
          await snapshot.session.close();
        }
      }
      snapshot = await newSnapshot(run, sides, tables, progress, signal, held);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    progress.stop();
    held();
  }
}

/** Until all rows are there; false when the snapshot has to be given up for another one. */
async function hold(run: SyncRun, sides: Sides, { session, name }: Snapshot, signal: AbortSignal): Promise<boolean> {
  while (!(await rowsAreThere(sides, run.key))) {
    await session.run('select 1');
    if (isBroken(await slotOf(sides.source, run.key, 'source'))) {
      throw failure(
        'ReplicationBroken',
        'the replication slot of the copy is gone, or has lost WAL',
        'The copy begins again with a new one, and keeps what still equals the source',
      );
    }
    if (await isContended(sides.target, run.key)) return false;
    await sleep(LOOK_MS, undefined, { signal });
  }
  await sides.target.run('delete from godwit.copy_snapshot where scope = $1 and name = $2', [run.key, name]);
  return true;
}

async function isContended(target: Session, key: string): Promise<boolean> {
  const found = await target.row('select from godwit.copy_group where scope = $1 and contended', [key]);
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

/** The snapshot of an earlier holder, as long as a copier keeps it; null when nobody does, or a table was rewritten. */
async function takeOverSnapshot(
  run: SyncRun,
  { source, target }: Sides,
  tables: ScopeTable[],
): Promise<Snapshot | null> {
  const group = await liveGroup(target, run.key);
  if (group === null) return null;
  const rest = await tablesToCopy(target, run.key, tables);
  for (const name of await exportedNames(target, run.key)) {
    const snapshot = await joinSnapshot(run, name, rest, 'snapshot');
    if (snapshot === 'gone') continue;
    if (snapshot === 'contended') return null;
    // Nobody had locked the tables for a moment.
    if ((await filesOf(source, rest)) === group.files) {
      await announce(target, run.key, group.seq, snapshot.name);
      return snapshot;
    }
    await snapshot.session.close();
    return null;
  }
  return null;
}

/** Under which names the live snapshot is exported, or was. */
export async function exportedNames(target: Session, key: string): Promise<string[]> {
  const rows = await target.rows<{ name: string }>(
    `select s.name from godwit.copy_snapshot s join godwit.copy_group g using (scope, seq)
     where s.scope = $1 and g.state in ('planning', 'live')`,
    [key],
  );
  return rows.map(({ name }) => name);
}

export async function announce(target: Session, key: string, seq: number, name: string): Promise<void> {
  await target.run('insert into godwit.copy_snapshot (scope, seq, name) values ($1, $2, $3) on conflict do nothing', [
    key,
    seq,
    name,
  ]);
}

/**
 * With its ranges planned. Copiers join it as soon as it is taken, since the longer its tables are locked before, the likelier
 * somebody waits between. Null when one did: it has to be given up.
 */
async function newSnapshot(
  run: SyncRun,
  sides: Sides,
  tables: ScopeTable[],
  progress: SyncProgress,
  signal: AbortSignal,
  taken: () => void,
): Promise<Snapshot | null> {
  const { key } = run;
  const { source, target } = sides;
  // Copiers that still read an older snapshot must not add to what is planned for this one.
  for (const side of [target, source]) await endReaders(side, key);
  await closeGroup(sides, key, tables);
  const rest = await tablesToCopy(target, key, tables);
  const seq = await prepareGroup(sides, key, rest);
  await dropSlot(source, scopeNames(key).slot('source'));
  const token = await admitCopy(target, key);
  await target.run('update godwit.copy_run set token = $2 where scope = $1', [key, token]);
  const snapshot = await takeSnapshot(run, source, rest);
  try {
    await openGroup(target, key, { seq, lsn: snapshot.lsn, files: snapshot.files });
    await announce(target, key, seq, snapshot.name);
    taken();
    const rangesKept = await plan(run, target, snapshot, rest, token, progress, signal);
    if (rangesKept === null) {
      await snapshot.session.close();
      return null;
    }
    await target.run('update godwit.copy_run set ranges_kept = $2 where scope = $1', [key, rangesKept]);
    await setState(target, key, seq, 'live');
    return snapshot;
  } catch (error) {
    await snapshot.session.close();
    throw error;
  }
}

/** Cuts tables into ranges; those that an interrupted copy left are kept where they equal this snapshot. Answers how many; null once it is contended. */
async function plan(
  run: SyncRun,
  target: Session,
  snapshot: Snapshot,
  tables: ScopeTable[],
  token: string,
  progress: SyncProgress,
  signal: AbortSignal,
): Promise<number | null> {
  const { parallelism, rangeSize } = run.move.database.copy;
  // In the session that has the tables: any other might wait behind a TRUNCATE that waits for this one.
  const described = await describeTables(snapshot.session, tables);
  const stored = new Map<string, StoredRange[]>();
  for (const range of await storedRanges(target, run.key)) {
    const ofTable = stored.get(nameOf(range.table));
    if (ofTable === undefined) stored.set(nameOf(range.table), [range]);
    else ofTable.push(range);
  }
  const unfinished = described.filter((table) => stored.has(nameOf(table))).length;
  progress.begin('tables', described.length, unfinished === 0 ? 'planning' : 'comparing what an interrupted copy left');
  const hands: { reader: Session; writer: Session }[] = [];
  let kept = 0;
  let contended = false;
  try {
    for (let i = 1; i <= (unfinished === 0 ? 1 : Math.max(1, parallelism)); i += 1) {
      const joined = i === 1 ? snapshot : await joinSnapshot(run, snapshot.name, tables, `compare ${i}`);
      // Fewer hands do as well.
      if (joined === 'gone' || joined === 'contended') break;
      const writer = await run.open('target', `compare ${i}`);
      hands.push({ reader: joined.session, writer });
      await admit(writer, token, tables);
    }
    const left = [...described];
    await inParallel(
      hands,
      () => (contended ? undefined : left.shift()),
      async ({ reader, writer }, table) => {
        signal.throwIfAborted();
        contended ||= await isContended(target, run.key);
        if (contended) return;
        const ranges = stored.get(nameOf(table)) ?? [];
        // `kept += await …` would read the sum before, and lose what the others add meanwhile.
        const fitted = await reconcileTable(reader, writer, run.key, table, ranges, rangeSize);
        kept += fitted;
        progress.done += 1;
      },
    );
  } finally {
    const joined = hands.filter(({ reader }) => reader !== snapshot.session);
    await Promise.all([...hands.map(({ writer }) => writer.close()), ...joined.map(({ reader }) => reader.close())]);
  }
  return contended ? null : kept;
}

/**
 * No slot is left that nobody reads: it would hold WAL back until the source's disk is full. Only with the holder's lock: a
 * run that was taken over must not take the slot of its successor along. With
 * `keepWhole`, rows that are all there keep it: only the subscription is missing.
 */
export async function tidy(move: DatabaseMove, keepWhole: boolean): Promise<void> {
  const run = new SyncRun(move, 'hold');
  try {
    await using sides = await run.openBoth('tidy');
    if (!(await run.holdsLock(sides.target)) || (await isSubscribed(sides.target, move.key))) return;
    if (keepWhole && (await rowsAreThere(sides, move.key))) return;
    await dropSlot(sides.source, scopeNames(move.key).slot('source'));
  } catch {
    // A side can't be reached: the next run, or the undo, drops it.
  }
}
