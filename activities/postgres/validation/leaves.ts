/**
 * One pass over both sides, then only into the leaves that differ. What comes out are keys whose rows differed between
 * two reads at nearly one time: candidates, no more, since both sides are written to meanwhile.
 */
import type { Session } from '../session.js';
import type { TableName } from '../statements.js';
import { compareBuckets, nothingKept, type BucketsPiece, type PassKeeper } from './buckets.js';
import { statementsOn, type ComparedTable, type KeyRange, type Listing } from './compared-table.js';
import {
  bothRead,
  differing,
  isTimeout,
  portions,
  rowsIn,
  unequal,
  type Buckets,
  type Candidates,
  type Leaf,
  type PassFigures,
} from './differing.js';
import type { Lane } from './lanes.js';

/**
 * Rows of a leaf as the pass aims for. Smaller leaves cost more groups, larger ones more rows to list when single rows are
 * being written all over the table; 65,536 groups of a statement cost 0.15 s.
 */
export const AIMED_LEAF_ROWS = 256;
const BUCKETS_AT_MOST = 65_536;
/** Bits by which a leaf that is too large is split at once. */
const SPLIT_BITS = 16;
/** Below it the rows of a range of keys lie all over the table, and ranges cost more than one look at the whole. */
const CORRELATED = 0.5;
/** Of a piece: what is done again after a worker's death. With half as many a table took 1.07 times as long. */
const RANGE_ROWS = 1_000_000;
/** Smaller tables are one piece. */
const CUT_FROM_ROWS = 100_000;
/** Of a sample, read by one statement. */
const LEAVES_AT_ONCE = 2_000;

/** A piece of one table, passed by one statement on each side. */
export type Piece =
  | { table: ComparedTable; kind: 'range'; range: KeyRange; shift: number; estimatedRows: number }
  | {
      table: ComparedTable;
      kind: 'leaves';
      low: bigint;
      high: bigint;
      shift: number;
      step: number;
      estimatedRows: number;
    }
  | BucketsPiece;

type RangePiece = Extract<Piece, { kind: 'range' }>;

/** Cuts a table into pieces. Ends are open, so that rows which come outside of the known keys are in a piece too. */
export async function cut(
  primary: Session,
  standby: Session,
  table: ComparedTable,
  rangeRows = RANGE_ROWS,
): Promise<Piece[]> {
  const { key } = statementsOn(table, primary).shape;
  if (key.kind !== 'integer') return [hashed(table)];
  const bounds = await boundsOf(primary, standby, table);
  if (bounds === null) {
    return [{ table, kind: 'range', range: { low: null, high: null }, shift: 0, estimatedRows: 0 }];
  }
  const { low, high } = bounds;
  const shift = shiftFor(table.estimatedRows, high - low + 1n);
  const wanted = Math.ceil(table.estimatedRows / rangeRows);
  const worthwhile = wanted > 1 || table.estimatedRows >= CUT_FROM_ROWS;
  const count = worthwhile && (await isCorrelated(primary, table, key.column.name)) ? wanted : 0;
  return ranges(low, high, shift, count).map((range) => ({
    table,
    kind: 'range',
    range,
    shift,
    estimatedRows: count > 0 && isOpen(range) ? 0 : table.estimatedRows / Math.max(1, count),
  }));
}

const isOpen = ({ low, high }: KeyRange): boolean => low === null || high === null;

/** Whether the rows lie on disk in the order of this column, as far as the last ANALYZE knows. */
async function isCorrelated(session: Session, { schema, name }: TableName, column: string): Promise<boolean> {
  const known = await session.row<{ correlation: number | null }>(
    `select correlation::float8 as correlation from pg_stats
     where schemaname = $1 and tablename = $2 and not inherited and attname = $3`,
    [schema, name, column],
  );
  return Math.abs(known?.correlation ?? 0) >= CORRELATED;
}

/** Lowest and highest integer key on either side; null where there are no rows. */
export async function boundsOf(
  primary: Session,
  standby: Session,
  table: ComparedTable,
): Promise<{ low: bigint; high: bigint } | null> {
  const [here, there] = await Promise.all([
    statementsOn(table, primary).bounds(primary),
    statementsOn(table, standby).bounds(standby),
  ]);
  const bounds = [here, there].filter((found) => found !== null);
  if (bounds.length === 0) return null;
  return {
    low: bounds.map((found) => found.low).reduce((one, other) => (one < other ? one : other)),
    high: bounds.map((found) => found.high).reduce((one, other) => (one > other ? one : other)),
  };
}

function hashed(table: ComparedTable): Piece {
  const wanted = Math.max(1, table.estimatedRows / AIMED_LEAF_ROWS);
  const buckets = Math.min(BUCKETS_AT_MOST, 2 ** Math.ceil(Math.log2(wanted)));
  return { table, kind: 'buckets', mask: buckets - 1, estimatedRows: table.estimatedRows };
}

/** How many keys, as a power of two, hold about as many rows as a leaf should, if rows are spread evenly. */
export function shiftFor(rows: number, span: bigint): number {
  const leaves = BigInt(Math.max(1, Math.ceil(rows / AIMED_LEAF_ROWS)));
  const width = span / leaves;
  // bigint has 63 bits besides its sign
  return width < 2n ? 0 : Math.min(62, width.toString(2).length - 1);
}

const LOWEST_KEY = -(2n ** 63n);
const HIGHEST_KEY = 2n ** 63n - 1n;

/** `count` ranges of whole leaves over low…high, and what lies outside; with 0 all keys are one range. */
export function ranges(low: bigint, high: bigint, shift: number, count: number): KeyRange[] {
  if (count === 0) return [{ low: null, high: null }];
  const bits = BigInt(shift);
  const first = low >> bits;
  const end = (high >> bits) + 1n;
  const starts = Array.from({ length: count }, (_, index) => first + ((end - first) * BigInt(index)) / BigInt(count));
  const distinct = [...new Set(starts)];
  const inside = distinct.map((start, index) => ({
    low: start << bits,
    high: ((distinct[index + 1] ?? end) << bits) - 1n,
  }));
  const [lowest, highest] = [first << bits, (end << bits) - 1n];
  return [
    ...(lowest > LOWEST_KEY ? [{ low: null, high: lowest - 1n }] : []),
    ...inside,
    ...(highest < HIGHEST_KEY ? [{ low: highest + 1n, high: null }] : []),
  ];
}

/**
 * Compares one piece. `candidates` gets keys that differ in two reads.
 * @param keeper where the progress of a piece without an integer key is kept, so that a later attempt goes on there
 */
export async function comparePiece(
  lane: Lane,
  piece: Piece,
  leafRows: number,
  candidates: Candidates,
  keeper: PassKeeper = nothingKept,
): Promise<PassFigures> {
  switch (piece.kind) {
    case 'range':
      return compareRange(lane, piece, leafRows, candidates);
    case 'leaves':
      return compareLeaves(lane, piece, candidates);
    case 'buckets':
      return compareBuckets(lane, piece, candidates, keeper);
  }
}

async function compareRange(
  lane: Lane,
  piece: RangePiece,
  leafRows: number,
  candidates: Candidates,
): Promise<PassFigures> {
  const { table, shift } = piece;
  if (piece.estimatedRows > lane.pace.most(table)) {
    const halves = await halvesOf(lane, piece);
    if (halves !== null) return inTurn(halves, (half, more) => compareRange(lane, half, leafRows, more), candidates);
  }
  let read: [Buckets, Buckets];
  try {
    read = await bothRead(lane, table, rowsIn, (session) =>
      statementsOn(table, session).passRange(session, piece.range, shift, piece.estimatedRows),
    );
  } catch (error) {
    const halves = isTimeout(error) ? await halvesOf(lane, piece) : null;
    if (halves === null) throw error;
    return inTurn(halves, (half, more) => compareRange(lane, half, leafRows, more), candidates);
  }
  const found = differing(...read);
  const figures = { rows: found.rows, leaves: found.leaves, leavesDiffering: found.differing.length };
  const rangeOf = (leaf: Leaf): { low: bigint; high: bigint } => {
    const low = BigInt(leaf.bucket) << BigInt(shift);
    return { low, high: low + (1n << BigInt(shift)) - 1n };
  };
  // keys that aren't spread evenly leave some leaves too full
  const [small, large] = partition(found.differing, (leaf) => leaf.rows <= leafRows || shift === 0);
  for (const portion of portions(small)) {
    const listed = await bothRead(lane, table, sizeOf, (session) =>
      statementsOn(table, session).rowsOfRanges(session, portion.map(rangeOf)),
    );
    if (!(await candidates(unequal(...listed)))) return figures;
  }
  const inside = (leaf: Leaf): RangePiece => ({
    ...piece,
    range: rangeOf(leaf),
    shift: Math.max(0, shift - SPLIT_BITS),
    estimatedRows: leaf.rows,
  });
  await inTurn(large.map(inside), (one, more) => compareRange(lane, one, leafRows, more), candidates);
  return figures;
}

/** Null: it can't be cut any more. */
async function halvesOf(lane: Lane, piece: RangePiece): Promise<[RangePiece, RangePiece] | null> {
  lane.signal.throwIfAborted();
  const known =
    piece.range.low === null || piece.range.high === null
      ? await boundsOf(lane.primary, lane.standby, piece.table)
      : null;
  const low = piece.range.low ?? known?.low;
  const high = piece.range.high ?? known?.high;
  if (low === undefined || high === undefined || high <= low) return null;
  const bits = BigInt(piece.shift);
  const leaves = (high >> bits) - (low >> bits) + 1n;
  // a single leaf is cut by its keys
  const shift = leaves > 1n ? piece.shift : Math.max(0, piece.shift - 1);
  if (leaves === 1n && piece.shift === 0) return null;
  // a shift, since a division rounds negative keys up, and the half would be the whole again
  const middle = ((((low >> BigInt(shift)) + (high >> BigInt(shift))) >> 1n) + 1n) << BigInt(shift);
  const half = (range: KeyRange): RangePiece => ({ ...piece, range, shift, estimatedRows: piece.estimatedRows / 2 });
  return [half({ low: piece.range.low, high: middle - 1n }), half({ low: middle, high: piece.range.high })];
}

/** Pieces one after the other, as long as `candidates` wants more. */
async function inTurn<P>(
  pieces: P[],
  compare: (piece: P, candidates: Candidates) => Promise<PassFigures>,
  candidates: Candidates,
): Promise<PassFigures> {
  const sum: PassFigures = { rows: 0, leaves: 0, leavesDiffering: 0 };
  let more = true;
  for (const piece of pieces) {
    const one = await compare(piece, async (keys) => (more = await candidates(keys)));
    sum.rows += one.rows;
    sum.leaves += one.leaves;
    sum.leavesDiffering += one.leavesDiffering;
    if (!more) break;
  }
  return sum;
}

/** Every so manieth leaf. */
async function compareLeaves(
  lane: Lane,
  piece: Extract<Piece, { kind: 'leaves' }>,
  candidates: Candidates,
): Promise<PassFigures> {
  const { table, shift, step } = piece;
  const width = 1n << BigInt(shift);
  const leaves: { low: bigint; high: bigint }[] = [];
  for (let leaf = piece.low >> BigInt(shift); leaf <= piece.high >> BigInt(shift); leaf += BigInt(step)) {
    leaves.push({ low: leaf * width, high: leaf * width + width - 1n });
  }
  const portions: (typeof leaves)[] = [];
  const atOnce = Math.max(1, Math.min(LEAVES_AT_ONCE, Math.floor(lane.pace.most(table) / AIMED_LEAF_ROWS)));
  for (let start = 0; start < leaves.length; start += atOnce) portions.push(leaves.slice(start, start + atOnce));
  return inTurn(
    portions,
    async (portion, more) => {
      const found = differing(
        ...(await bothRead(lane, table, rowsIn, (session) =>
          statementsOn(table, session).passLeaves(session, portion, shift),
        )),
      );
      const open = found.differing.map(({ bucket }) => {
        const low = BigInt(bucket) * width;
        return { low, high: low + width - 1n };
      });
      if (open.length > 0) {
        const listed = await bothRead(lane, table, sizeOf, (session) =>
          statementsOn(table, session).rowsOfRanges(session, open),
        );
        await more(unequal(...listed));
      }
      return { rows: found.rows, leaves: portion.length, leavesDiffering: found.differing.length };
    },
    candidates,
  );
}

const sizeOf = ({ size }: Listing): number => size;

function partition<T>(all: T[], belongs: (one: T) => boolean): [T[], T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}
