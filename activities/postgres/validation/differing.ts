/** Two reads of the same rows, one on each side at nearly one time, and what they differ by. */
import { sqlState } from '../errors.js';
import type { Session } from '../session.js';
import { bothOver } from '../sides.js';
import type { Bucket, ComparedTable, Key, Listing } from './compared-table.js';
import type { Lane } from './lanes.js';

/** Rows that are listed and held in memory at a time. */
export const LISTED_ROWS = 100_000;

/** What a pass found, besides the candidates. */
export interface PassFigures {
  /** On the primary. */
  rows: number;
  leaves: number;
  leavesDiffering: number;
}

/** Gets keys in portions, and answers whether to go on: a table that is known to differ in thousands of rows needs no longer list. */
export type Candidates = (keys: Key[]) => Promise<boolean>;

export interface Leaf {
  bucket: string;
  rows: number;
}

export type Buckets = Map<string, Bucket>;

/** The server's own time-out, which is the pair's to set: smaller statements stay below it. */
export const isTimeout = (error: unknown): boolean => sqlState(error) === '57014';

/**
 * The same read on both sides at the lane's pace, primary first: at the same time, or, in small bites, one after the other, so that
 * others are never held up on both servers at once.
 * @param rowsOf how many rows one side's answer is of
 */
export async function bothRead<T>(
  lane: Lane,
  table: ComparedTable,
  rowsOf: (found: T) => number,
  read: (session: Session) => Promise<T>,
): Promise<[T, T]> {
  lane.signal.throwIfAborted();
  await lane.pace.wait(lane.signal);
  lane.signal.throwIfAborted();
  const { readers, pace } = lane;
  const began = performance.now();
  const found: [T, T] = pace.gentle
    ? [await read(readers.primary), await read(readers.standby)]
    : await both(lane, read);
  pace.took(rowsOf(found[0]) + rowsOf(found[1]), table, performance.now() - began);
  return found;
}

/** The same at the same time, and without a pace. */
export async function both<T>(lane: Lane, work: (session: Session) => Promise<T>): Promise<[T, T]> {
  lane.signal.throwIfAborted();
  const { readers } = lane;
  // a side's statement is over before its session is used again
  return bothOver(work(readers.primary), work(readers.standby));
}

/** Buckets whose rows aren't the same on both sides. */
export function differing(primary: Buckets, standby: Buckets): { rows: number; leaves: number; differing: Leaf[] } {
  const leaves = new Set([...primary.keys(), ...standby.keys()]);
  const found: Leaf[] = [];
  for (const bucket of leaves) {
    const here = primary.get(bucket);
    const there = standby.get(bucket);
    if (here?.count === there?.count && here?.sum === there?.sum) continue;
    found.push({ bucket, rows: Math.max(here?.count ?? 0, there?.count ?? 0) });
  }
  return { rows: rowsIn(primary), leaves: leaves.size, differing: found };
}

export const rowsIn = (buckets: Buckets): number =>
  [...buckets.values()].reduce((sum, bucket) => sum + bucket.count, 0);

/** Keys whose rows aren't the same in both listings. */
export function unequal(primary: Listing, standby: Listing): Key[] {
  const keys = new Set([...primary.keys(), ...standby.keys()]);
  const signature = (hashes: string[] | undefined): string => hashes?.sort().join(',') ?? '';
  return [...keys]
    .filter((key) => signature(primary.get(key)) !== signature(standby.get(key)))
    .map((key) => JSON.parse(key) as Key);
}

export function* portions(leaves: Leaf[]): Generator<Leaf[]> {
  let portion: Leaf[] = [];
  let rows = 0;
  for (const leaf of leaves) {
    portion.push(leaf);
    rows += leaf.rows;
    if (rows < LISTED_ROWS) continue;
    yield portion;
    portion = [];
    rows = 0;
  }
  if (portion.length > 0) yield portion;
}
