/**
 * Settles candidates: keys whose rows differed between two reads. A row differs only if it still differs after the standby
 * has applied all that the primary had committed when the difference was seen.
 *
 * Rounds of reads with a marker between them find what is equal; they never confirm a difference, since a row may be
 * inserted and deleted between the reads, and a commit that waits for a synchronous standby is seen by the standby but not
 * yet on the primary. A difference is confirmed only while a lock keeps the row, or the table, as it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../../spec/normal.js';
import { cancelAutovacuum } from '../blockers.js';
import { sqlState } from '../errors.js';
import type { Session } from '../session.js';
import { statementsOn, type ComparedTable, type Key, type Reading } from './compared-table.js';
import type { Lane } from './lanes.js';
import { requireCaughtUp } from './proof.js';

/** A row written in each of three rounds is hot; a lock settles it at once. */
const ROUNDS = 3;
/** Keys of a round, and of a lock: their rows stay locked for as long as a marker and two reads take. */
const KEYS_OF_A_ROUND = 2_000;
const KEYS_OF_A_LOCK = 200;
/** A waiting table lock makes every writer queue behind it, so it is asked for in short tries. */
const LOCK_TRY_MS = 100;
const LOCK_PAUSE_MS = 200;

const LOCK_NOT_AVAILABLE = '55P03';
/** What leaves a suspect a suspect: lock_timeout, deadlock, statement_timeout, no right to lock. */
const NOT_LOCKED = new Set([LOCK_NOT_AVAILABLE, '40P01', '57014', '42501']);

/** Of the standby's row, as seen from the primary; `count`: how often a row occurs, where there is no key. */
export type DifferenceKind = 'missing' | 'extra' | 'changed' | 'count';

export interface Difference {
  key: Key;
  kind: DifferenceKind;
  /** What was read of the key when it was confirmed: see `Reading`. Absent of a suspect. */
  seen?: { here: string | null; there: string | null };
}

export interface Settled {
  differences: Difference[];
  /** Neither proven equal nor different. */
  suspects: Difference[];
  /** Keys by what settled them. */
  byMarker: number;
  byRowLock: number;
  byTableLock: number;
}

export interface SettleOptions {
  lockTimeout: Milliseconds;
  markerTimeout: Milliseconds;
  signal: AbortSignal;
}

export const nothingSettled = (): Settled => ({
  differences: [],
  suspects: [],
  byMarker: 0,
  byRowLock: 0,
  byTableLock: 0,
});

export function addSettled(sum: Settled, more: Settled): void {
  sum.differences.push(...more.differences);
  sum.suspects.push(...more.suspects);
  sum.byMarker += more.byMarker;
  sum.byRowLock += more.byRowLock;
  sum.byTableLock += more.byTableLock;
}

export async function settle(lane: Lane, table: ComparedTable, keys: Key[], options: SettleOptions): Promise<Settled> {
  const settled = nothingSettled();
  for (const batch of batches(keys, KEYS_OF_A_ROUND)) {
    const unequal = await roundsOf(lane, table, batch, options);
    settled.byMarker += batch.length - unequal.length;
    await confirm(lane, table, unequal, options, settled);
  }
  return settled;
}

/** Reads on the primary, marker, standby, primary again. Answers the keys that were not seen equal. */
async function roundsOf(lane: Lane, table: ComparedTable, keys: Key[], options: SettleOptions): Promise<Key[]> {
  let pending = keys;
  for (let round = 0; round < ROUNDS && pending.length > 0; round += 1) {
    options.signal.throwIfAborted();
    const before = await statementsOn(table, lane.primary).read(lane.primary, pending);
    await arrived(lane, options);
    const there = await statementsOn(table, lane.standby).read(lane.standby, pending);
    const after = await statementsOn(table, lane.primary).read(lane.primary, pending);
    const open = pending
      .map((key, index) => ({ key, before: before[index], there: there[index], after: after[index] }))
      .filter((read) => !isEqual(read.there, read.before, read.after));
    pending = open.map((read) => read.key);
    // nobody writes to them: more rounds would say the same
    if (open.every((read) => read.before?.version === read.after?.version)) break;
  }
  return pending;
}

const isEqual = (there: Reading | undefined, ...here: (Reading | undefined)[]): boolean =>
  here.some((reading) => reading?.signature === there?.signature);

async function arrived(lane: Lane, options: SettleOptions): Promise<void> {
  await requireCaughtUp(lane.proof, lane, options.markerTimeout, options.signal);
}

async function markerWithin(lane: Lane, options: SettleOptions, timeout: Milliseconds): Promise<boolean> {
  return lane.proof.caughtUp(lane, timeout, options.signal);
}

async function confirm(
  lane: Lane,
  table: ComparedTable,
  keys: Key[],
  options: SettleOptions,
  settled: Settled,
): Promise<void> {
  if (keys.length === 0) return;
  if (lane.proof.kind === 'patience') return byPatience(lane, table, keys, options, settled);
  const keyed = statementsOn(table, lane.primary).shape.key.kind !== 'none';
  const absent: Key[] = [];
  if (!keyed) absent.push(...keys);
  else
    for (const batch of batches(keys, KEYS_OF_A_LOCK))
      absent.push(...(await underRowLocks(lane, table, batch, options, settled)));
  for (const batch of batches(absent, KEYS_OF_A_ROUND)) await underTableLock(lane, table, batch, options, settled);
}

/** Without a word from Postgres: what stayed as it was on both sides, all the time that a change may take, differs. */
async function byPatience(
  lane: Lane,
  table: ComparedTable,
  keys: Key[],
  options: SettleOptions,
  settled: Settled,
): Promise<void> {
  const counts = statementsOn(table, lane.primary).shape.key.kind === 'none';
  const read = (session: Session): Promise<Reading[]> => statementsOn(table, session).read(session, keys);
  const before = { here: await read(lane.primary), there: await read(lane.standby) };
  await arrived(lane, options);
  const after = { here: await read(lane.primary), there: await read(lane.standby) };
  const stayed = (one: Reading | undefined, other: Reading | undefined): boolean =>
    one?.signature === other?.signature && one?.version === other?.version;
  keys.forEach((key, index) => {
    const here = after.here[index]?.signature ?? null;
    const there = after.there[index]?.signature ?? null;
    const kind = counts ? 'count' : kindOf(here, there);
    if (here === there) settled.byMarker += 1;
    else if (stayed(before.here[index], after.here[index]) && stayed(before.there[index], after.there[index]))
      settled.differences.push({ key, kind, seen: { here, there } });
    else settled.suspects.push({ key, kind });
  });
}

/** Answers the keys that the primary has no row of: nothing to lock there. */
async function underRowLocks(
  lane: Lane,
  table: ComparedTable,
  keys: Key[],
  options: SettleOptions,
  settled: Settled,
): Promise<Key[]> {
  // all at once never waits, so it can't be part of a deadlock with the application
  let rest = await lockAndCompare(lane, table, keys, true, options, settled);
  if (rest.length === 0) return [];
  const readings = await statementsOn(table, lane.primary).read(lane.primary, rest);
  const absent = rest.filter((_, index) => readings[index]?.signature === null);
  const held = rest.filter((_, index) => readings[index]?.signature !== null);
  const deadline = Date.now() + options.lockTimeout * 10;
  for (const key of held) {
    options.signal.throwIfAborted();
    if (Date.now() > deadline) {
      settled.suspects.push({ key, kind: 'changed' });
      continue;
    }
    rest = await lockAndCompare(lane, table, [key], false, options, settled);
    absent.push(...rest);
  }
  return absent;
}

/** Locks rows on the primary, lets a marker pass, compares. Answers the keys whose rows weren't there, or were skipped. */
async function lockAndCompare(
  lane: Lane,
  table: ComparedTable,
  keys: Key[],
  skip: boolean,
  options: SettleOptions,
  settled: Settled,
): Promise<Key[]> {
  const { locker, standby } = lane;
  let locked = new Set<number>();
  try {
    const judged = await locker.transaction(async () => {
      await locker.run(`set local lock_timeout = ${options.lockTimeout}`);
      locked = await statementsOn(table, locker).lockRows(locker, keys, skip);
      const held = keys.filter((_, index) => locked.has(index));
      if (held.length === 0) return { held, here: [], there: [], current: true };
      const here = await statementsOn(table, locker).read(locker, held);
      const current = await markerWithin(lane, options, options.lockTimeout);
      const there = current ? await statementsOn(table, standby).read(standby, held) : [];
      return { held, here, there, current };
    });
    judge(judged, 'byRowLock', settled);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!NOT_LOCKED.has(sqlState(error) ?? '')) throw error;
    settled.suspects.push(...keys.map((key): Difference => ({ key, kind: 'changed' })));
    return [];
  }
  return keys.filter((_, index) => !locked.has(index));
}

/** What isn't there can't be locked, only kept from coming: SHARE on the table, for a marker and two reads. */
async function underTableLock(
  lane: Lane,
  table: ComparedTable,
  keys: Key[],
  options: SettleOptions,
  settled: Settled,
): Promise<void> {
  const { locker, standby } = lane;
  const deadline = Date.now() + options.lockTimeout;
  for (;;) {
    options.signal.throwIfAborted();
    try {
      const judged = await locker.transaction(async () => {
        await locker.run(`set local lock_timeout = ${Math.min(LOCK_TRY_MS, options.lockTimeout)}`);
        await statementsOn(table, locker).lockTable(locker);
        await locker.run(`set local statement_timeout = ${options.lockTimeout}`);
        const here = await statementsOn(table, locker).read(locker, keys);
        const current = await markerWithin(lane, options, options.lockTimeout);
        const there = current
          ? await within(standby, options.lockTimeout, () => statementsOn(table, standby).read(standby, keys))
          : [];
        return { held: keys, here, there, current };
      });
      judge(judged, 'byTableLock', settled, statementsOn(table, locker).shape.key.kind === 'none');
      return;
    } catch (error) {
      options.signal.throwIfAborted();
      const state = sqlState(error) ?? '';
      if (!NOT_LOCKED.has(state)) throw error;
      if (state !== LOCK_NOT_AVAILABLE || Date.now() > deadline) {
        const kind = statementsOn(table, locker).shape.key.kind === 'none' ? 'count' : 'extra';
        settled.suspects.push(...keys.map((key): Difference => ({ key, kind })));
        return;
      }
      await cancelAutovacuum(lane.primary, [{ schema: table.schema, name: table.name, kind: 'r' }]).catch(
        () => undefined,
      );
      await sleep(LOCK_PAUSE_MS, undefined, { signal: options.signal });
    }
  }
}

/** Statements of the standby hold up writers of the primary here. */
async function within<T>(session: Session, timeout: Milliseconds, work: () => Promise<T>): Promise<T> {
  await session.run(`set statement_timeout = ${timeout}`);
  try {
    return await work();
  } finally {
    if (!session.lost) await session.run('set statement_timeout = 0');
  }
}

interface Judged {
  held: Key[];
  here: Reading[];
  there: Reading[];
  /** False: the marker did not arrive while the lock could be held. */
  current: boolean;
}

function judge(judged: Judged, by: 'byRowLock' | 'byTableLock', settled: Settled, counts = false): void {
  judged.held.forEach((key, index) => {
    const here = judged.here[index]?.signature ?? null;
    const there = judged.there[index]?.signature ?? null;
    if (!judged.current) settled.suspects.push({ key, kind: counts ? 'count' : here === null ? 'extra' : 'changed' });
    else {
      settled[by] += 1;
      const kind = counts ? 'count' : kindOf(here, there);
      if (here !== there) settled.differences.push({ key, kind, seen: { here, there } });
    }
  });
}

function kindOf(here: string | null, there: string | null): DifferenceKind {
  if (here === null) return 'extra';
  return there === null ? 'missing' : 'changed';
}

function* batches<T>(all: T[], size: number): Generator<T[]> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}
