/** Cuts tables into ranges of similar size, each copied, recorded and repaired on its own. */
import type { Bytes } from '../../../spec/normal.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { identifier, nameOf, qualified, statement, type TableName } from '../statements.js';

const TABLES = statement(import.meta.url, '../sql/copy_tables.sql');
const COLUMNS = statement(import.meta.url, '../sql/copy_columns.sql');

/** Below this, PostgreSQL reads a whole table for each range of ctid. */
const TID_RANGE_SCAN_SINCE = 140_000;
/** A histogram older than this part of the key's values has grown beyond it says little. */
const SPREAD_COVERS = 0.9;

export interface CopyTable extends TableName {
  bytes: Bytes;
  pages: number;
  /** The only column of an integer primary key. */
  keyColumn: string | null;
  spread: bigint[];
  /** Generated columns excluded: the target computes them. */
  columns: string[];
  format: 'binary' | 'text';
  /** Condition on the rows to copy; null: all. */
  rowFilter: string | null;
}

export interface CopyRange {
  seq: number;
  kind: 'key' | 'ctid' | 'whole';
  /** lo <= value < hi, null: open. Key values, or block numbers of ctid. */
  lo: bigint | null;
  hi: bigint | null;
  estimate: Bytes;
}

/** Tables that hold rows, the biggest first: begun last, the biggest would leave all other hands idle. */
export async function describeTables(session: Session, tables: ScopeTable[]): Promise<CopyTable[]> {
  const input = [JSON.stringify(tables)];
  const sizes = await session.rows<{
    schema: string;
    name: string;
    bytes: string;
    pages: string;
    keyColumn: string | null;
    spread: string[] | null;
  }>(TABLES, input);
  const columns = await session.rows<{ schema: string; name: string; columns: string[]; binary: boolean }>(
    COLUMNS,
    input,
  );
  const byName = new Map(columns.map((row) => [nameOf(row), row]));
  const filterBy = new Map(tables.map((table) => [nameOf(table), table.rowFilter]));
  return sizes.map((table) => ({
    schema: table.schema,
    name: table.name,
    bytes: Number(table.bytes),
    pages: Number(table.pages),
    keyColumn: table.keyColumn,
    spread: (table.spread ?? []).map(BigInt),
    columns: byName.get(nameOf(table))?.columns ?? [],
    format: byName.get(nameOf(table))?.binary === true ? 'binary' : 'text',
    rowFilter: filterBy.get(nameOf(table)) ?? null,
  }));
}

/** Ranges of one table as the snapshot shows it. The first and the last are open, so that together they hold every row. */
export async function planRanges(reader: Session, table: CopyTable, rangeSize: Bytes): Promise<CopyRange[]> {
  const wanted = Math.max(1, Math.ceil(table.bytes / rangeSize));
  if (table.keyColumn !== null) {
    if (wanted === 1) return rangesBetween('key', [], table.bytes);
    const column = identifier(table.keyColumn);
    const ends = await reader.row<{ lo: string | null; hi: string | null }>(
      `select min(${column})::text as lo, max(${column})::text as hi from only ${qualified(table)}`,
    );
    const lo = ends?.lo ?? null;
    const hi = ends?.hi ?? null;
    const cuts = lo === null || hi === null ? [] : keyCuts(BigInt(lo), BigInt(hi), table.spread, wanted);
    return rangesBetween('key', cuts, table.bytes);
  }
  const version = await reader.row<{ number: number }>(`select current_setting('server_version_num')::int as number`);
  if (wanted === 1 || (version?.number ?? 0) < TID_RANGE_SCAN_SINCE) return rangesBetween('whole', [], table.bytes);
  const cuts = Array.from({ length: wanted - 1 }, (_, i) => BigInt(Math.floor((table.pages * (i + 1)) / wanted)));
  return rangesBetween('ctid', increasing(cuts, 0n), table.bytes);
}

/**
 * Values that cut lo…hi into `wanted` parts: of equally many rows where the histogram of ANALYZE tells how they are
 * spread, else equally wide. Snowflake-like keys have one range with all rows if cut by width.
 */
export function keyCuts(lo: bigint, hi: bigint, spread: bigint[], wanted: number): bigint[] {
  const first = spread[0];
  const last = spread.at(-1);
  const covers =
    first !== undefined &&
    last !== undefined &&
    last > first &&
    Number(last - first) >= SPREAD_COVERS * Number(hi - lo);
  const points = covers ? spread : [lo, hi + 1n];
  const cuts = Array.from({ length: wanted - 1 }, (_, i) => valueAt(points, (i + 1) / wanted));
  return increasing(
    cuts.filter((cut) => cut <= hi),
    lo,
  );
}

function valueAt(points: bigint[], part: number): bigint {
  const position = part * (points.length - 1);
  const index = Math.floor(position);
  const from = points[index] ?? 0n;
  const to = points[index + 1] ?? from;
  return from + BigInt(Math.floor(Number(to - from) * (position - index)));
}

function increasing(cuts: bigint[], above: bigint): bigint[] {
  let last = above;
  return cuts.filter((cut) => {
    if (cut <= last) return false;
    last = cut;
    return true;
  });
}

function rangesBetween(kind: CopyRange['kind'], cuts: bigint[], bytes: Bytes): CopyRange[] {
  const estimate = Math.ceil(bytes / (cuts.length + 1));
  return [null, ...cuts].map((lo, seq) => ({ seq, kind, lo, hi: cuts[seq] ?? null, estimate }));
}

/** The rows of one range that move, as a WHERE clause; empty: all. */
export function whereOf(table: CopyTable, range: CopyRange): string {
  const value = (bound: bigint): string => (range.kind === 'ctid' ? `'(${bound},0)'::tid` : `${bound}`);
  const column = range.kind === 'ctid' ? 'ctid' : identifier(table.keyColumn ?? 'ctid');
  const terms = [
    ...(range.lo === null ? [] : [`${column} >= ${value(range.lo)}`]),
    ...(range.hi === null ? [] : [`${column} < ${value(range.hi)}`]),
    ...(table.rowFilter === null ? [] : [`(${table.rowFilter})`]),
  ];
  return terms.length === 0 ? '' : `where ${terms.join(' and ')}`;
}
