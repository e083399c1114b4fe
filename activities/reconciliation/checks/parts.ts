/**
 * Looks at tables that are too large for one statement. A look is one statement, as long as that ends in time; one that does not is
 * made again in two parts, then four, and so on: parts that are done stay done, since each part of before is two of the next.
 *
 * Each part is a transaction with a snapshot of its own, so that none is held for long. That is right for what is looked for here:
 *
 * - Whether a row dangles, or breaks a rule about its own columns, shows in the snapshot of its part alone. Rows that are alike, or
 *   numbers of one sequence of events, are never parted: they are cut by a hash of the very columns that make them belong together.
 * - A row that is moved to another part by an UPDATE between two of them may be seen twice, or not at all. Seen twice it is sorted
 *   out by the second look, which every finding has to stand (see `settledRows`); not seen, it was written during this run, and is
 *   for the next one to find.
 */
import { sqlState } from '../../postgres/errors.js';
import type { Session } from '../../postgres/session.js';
import { identifier, literal, qualified } from '../../postgres/statements.js';
import { NAMED_ROWS, type CheckRun } from '../findings.js';
import { QUERY_CANCELED, reading, type AsUsers } from './reading.js';
import type { RowsFound } from './settled.js';
import { keyColumnsOf, type CheckedTable } from './tables.js';

/** A power of two. What takes longer even so is better looked at with a longer time-out. */
const MOST_PARTS = 1_024;

/** No type of an expression has a hash, or no array type to hash it in. */
const NOT_HASHED = new Set(['42883', '42704']);

/** The condition on rows that are in part `part` of `of`, a power of two; parts of twice as many are these, halved, in this order. */
export type Cut = (part: number, of: number) => string;

const EVERYTHING = 'true';

export class Parts {
  #of = 1;
  #cut: Cut | null = null;

  /** @param cut asked once, when the whole has not ended in time; null: the table can't be cut */
  constructor(
    readonly run: CheckRun,
    readonly session: Session,
    readonly cut: () => Promise<Cut | null>,
    readonly settings: AsUsers = {},
  ) {}

  /** `look`, in a transaction that reads, at each part; answers in the order of the parts. Fails as its statement at the last. */
  async each<T>(look: (condition: string) => Promise<T>): Promise<T[]> {
    const answers: T[] = [];
    let late: Error | null = null;
    for (let part = 0; part < this.#of;) {
      const condition = this.#cut === null ? EVERYTHING : this.#cut(part, this.#of);
      try {
        answers.push(await reading(this.run, this.session, () => look(condition), this.settings));
        part += 1;
      } catch (error) {
        this.run.signal.throwIfAborted();
        const state = sqlState(error) ?? '';
        if (late !== null && NOT_HASHED.has(state)) throw late;
        if (state !== QUERY_CANCELED || this.#of >= MOST_PARTS) throw error;
        this.#cut ??= await reading(this.run, this.session, this.cut);
        if (this.#cut === null) throw error;
        late = error instanceof Error ? error : null;
        this.#of *= 2;
        part *= 2;
      }
    }
    return answers;
  }

  /** The same for rows that are named by their keys: those of all parts. */
  async rows(look: (condition: string) => Promise<RowsFound>): Promise<RowsFound> {
    const found = await this.each(look);
    return {
      named: new Map(found.flatMap(({ named }) => [...named]).slice(0, NAMED_ROWS)),
      total: found.reduce((sum, { total }) => sum + total, 0),
    };
  }
}

/** Each row by its key: ranges of its first column, or a hash of all where nothing is known of how that is spread. Null: no key. */
export async function byKey(session: Session, table: CheckedTable, alias = 'r'): Promise<Cut | null> {
  const columns = keyColumnsOf(table);
  const [first] = columns;
  if (first === undefined) return null;
  const column = `${alias}.${identifier(first)}`;
  const histogram = await histogramOf(session, table, first);
  if (table.shape.key.kind === 'integer') {
    const ends = await session.row<{ low: string | null; high: string | null }>(
      `select min(${identifier(first)})::text as low, max(${identifier(first)})::text as high from ${qualified(table)}`,
    );
    if (ends?.low == null || ends.high == null) return null;
    return byRange(column, [ends.low, ...histogram, ends.high].map(BigInt));
  }
  const inner = histogram.slice(1, -1);
  return inner.length > 0 ? byValues(column, inner) : byHash(columns.map((name) => `${alias}.${identifier(name)}`));
}

/**
 * Rows whose values are equal are in one part: the hash is that of each type's own operator class, as PARTITION BY compares them. Every
 * part reads all rows; what it saves is their sorting.
 */
export function byHash(expressions: string[]): Cut {
  const hash = expressions
    .map((expression, index) => `pg_catalog.hash_array_extended(array[${expression}], ${index})`)
    .join(' # ');
  return (part, of) => (of === 1 ? EVERYTHING : `((${hash}) >> ${64 - Math.log2(of)}) = ${part - of / 2}`);
}

/**
 * Ranges of an integer, with about as many rows between each two of `bounds`. Ends are open: rows beyond what is known of the keys
 * are in a part, too.
 */
export function byRange(column: string, bounds: bigint[]): Cut {
  const pieces = BigInt(bounds.length - 1);
  /** The key below which `part` of `of` of the rows are, or so. */
  const at = (part: number, of: number): bigint => {
    const place = BigInt(part) * pieces;
    const index = Number(place / BigInt(of));
    const [low = 0n, high = low] = [bounds[index], bounds[index + 1]];
    return low + ((high - low) * (place % BigInt(of))) / BigInt(of);
  };
  return (part, of) => {
    const conditions = [
      ...(part === 0 ? [] : [`${column} >= ${at(part, of)}`]),
      ...(part + 1 === of ? [] : [`${column} < ${at(part + 1, of)}`]),
    ];
    return conditions.join(' and ') || EVERYTHING;
  };
}

/** Ranges of values in their own order, from each of `values` to the next; more parts than ranges leave some empty. */
export function byValues(column: string, values: string[]): Cut {
  const ranges = values.length + 1;
  return (part, of) => {
    const [from, to] = [part, part + 1].map((one) => Math.floor((one * ranges) / of)) as [number, number];
    if (from === to) return 'false';
    const conditions = [
      ...(from === 0 ? [] : [`${column} >= ${literal(values[from - 1] ?? '')}`]),
      ...(to === ranges ? [] : [`${column} < ${literal(values[to - 1] ?? '')}`]),
    ];
    return conditions.join(' and ') || EVERYTHING;
  };
}

/** Values of a column with about as many rows between each two of them, as ANALYZE has found; empty: it has not. */
async function histogramOf(session: Session, table: CheckedTable, column: string): Promise<string[]> {
  const known = await session.row<{ bounds: string[] | null }>(
    `select histogram_bounds::text::text[] as bounds from pg_catalog.pg_stats
     where schemaname = $1 and tablename = $2 and attname = $3 order by inherited = $4 desc limit 1`,
    [table.schema, table.name, column, table.kind === 'p'],
  );
  return known?.bounds ?? [];
}
