/** A table as the comparison sees it: its shape on both sides, and the statements made of it. */
import type { Session } from '../session.js';
import { filteredRows } from '../row-filter.js';
import { identifier, qualified, statement, type TableName } from '../statements.js';
import { rowExpression, text, type ColumnShape, type Dialect, type KeyShape } from './expression.js';
import { readsByIndex } from './plan.js';
import { fill } from './template.js';
import { writtenSince } from './watermark.js';

const PASS = statement(import.meta.url, '../sql/validation/pass.sql');
const PASS_STEPS = statement(import.meta.url, '../sql/validation/pass_steps.sql');
const PASS_LEAVES = statement(import.meta.url, '../sql/validation/pass_leaves.sql');
const PASS_KEYS = statement(import.meta.url, '../sql/validation/pass_keys.sql');
const ROWS_OF_RANGES = statement(import.meta.url, '../sql/validation/rows_of_ranges.sql');
const ROWS_OF_BUCKETS = statement(import.meta.url, '../sql/validation/rows_of_buckets.sql');
const COUNTS_OF_BUCKETS = statement(import.meta.url, '../sql/validation/counts_of_buckets.sql');
const READ_BY_KEY = statement(import.meta.url, '../sql/validation/read_by_key.sql');
const READ_BY_HASH = statement(import.meta.url, '../sql/validation/read_by_hash.sql');
const WRITTEN_SINCE = statement(import.meta.url, '../sql/validation/written_since.sql');
const IMAGES = statement(import.meta.url, '../sql/validation/images.sql');
const LOCK_ROWS = statement(import.meta.url, '../sql/validation/lock_rows.sql');

/** Columns of a key as text; the hash of a row where there is no key. */
export type Key = string[];

export interface SideShape {
  columns: ColumnShape[];
  key: KeyShape;
  /** Equality operators of the key's columns, schema-qualified: those of extensions aren't in pg_catalog. */
  equals: string[];
}

/** A row: each column as text. */
export type Image = Record<string, string | null>;

/** What one read found of one key: null is nothing. */
export interface Reading {
  signature: string | null;
  version: string | null;
}

export interface Bucket {
  count: number;
  sum: string;
}

interface BucketRow extends Record<string, unknown> {
  bucket: string;
  count: string;
  sum: string;
}

const buckets = (rows: BucketRow[]): Map<string, Bucket> =>
  new Map(rows.map((row) => [row.bucket, { count: Number(row.count), sum: row.sum }]));

/** Pages of a table, half-open; open at the end with null. */
export interface Pages {
  from: number;
  to: number | null;
}

const onPages = (pages: Pages | undefined): string =>
  pages === undefined
    ? 'true'
    : `r.ctid >= '(${pages.from},0)'::tid${pages.to === null ? '' : ` and r.ctid < '(${pages.to},0)'::tid`}`;

/** A row that was listed. */
export interface Listed {
  key: Key;
  hash: string;
}

/** Some of the buckets of `passWhere`. */
export interface Within {
  mask: number;
  buckets: string[];
}

/** Half-open on either end with null. Bounds are of the integer key. */
export interface KeyRange {
  low: bigint | null;
  high: bigint | null;
}

/** A leaf with fewer rows costs more to look for in the index than its rows save. */
const STEPPED_LEAF_ROWS = 32;
/** Asking costs 1 ms, as much as a few thousand rows; an index may be dropped at any time. */
const PLAN_HOLDS_MS = 1_000;

export interface TableToCompare extends TableName {
  /** Only these rows are compared, on both sides; null or absent: all. */
  rowFilter?: string | null;
  /** Of these only a share, by the hash of the key: the same rows on both sides. */
  share?: Share | null;
  /** A partitioned table, with the rows of all its partitions: they are cut otherwise on the other side. */
  whole?: boolean;
  /** Columns that aren't compared. */
  excluded?: string[];
}

/** So many of 2^20 rows, chosen by a seed. */
export interface Share {
  of2To20: number;
  seed: number;
}

/** Statements of one table on one side. */
export class TableStatements {
  readonly hash: string;
  readonly seed: string;
  readonly form: string;
  readonly #table: string;
  /** What the planner was last heard to do: whether it goes to each leaf by an index. */
  #steps: { byIndex: boolean; askedAt: number } | null = null;
  /** What to read: the table's rows, or those of its filter. */
  readonly #rows: string;

  constructor(
    readonly name: TableToCompare,
    readonly shape: SideShape,
    dialect: Dialect,
  ) {
    const expression = rowExpression(shape.columns, shape.key, dialect);
    this.hash = expression.hash;
    this.seed = expression.seed;
    this.form = expression.form;
    this.#table = `${name.whole === true ? '' : 'only '}${qualified(name)}`;
    const rows = filteredRows(name, name.rowFilter, name.whole);
    this.#rows =
      name.share == null
        ? rows
        : `(select r.*${name.rowFilter == null ? ', r.xmin, r.ctid' : ''} from ${rows} as r where ` +
          `(hashint8extended(${expression.seed}, ${name.share.seed}) & 1048575) < ${name.share.of2To20})`;
  }

  get keyless(): boolean {
    return this.shape.key.kind === 'none';
  }

  get #integer(): string {
    if (this.shape.key.kind !== 'integer') throw new TypeError('only a table with an integer key has ranges');
    return `r.${identifier(this.shape.key.column.name)}`;
  }

  /** Lowest and highest key; null when the table is empty. */
  async bounds(session: Session): Promise<{ low: bigint; high: bigint } | null> {
    const found = await session.row<{ low: string | null; high: string | null }>(
      `select min(${this.#integer})::text as low, max(${this.#integer})::text as high from ${this.#rows} as r`,
    );
    return found?.low == null || found.high === null ? null : { low: BigInt(found.low), high: BigInt(found.high) };
  }

  /**
   * Leaves of 2^shift keys: a shift never overflows, at either end of bigint. A partitioned table has an index to go to for each
   * partition, so that going from leaf to leaf costs it more than it saves.
   * @param rows as far as they are known
   */
  async passRange(session: Session, range: KeyRange, shift: number, rows = 0): Promise<Map<string, Bucket>> {
    const { low, high } = range;
    if (low !== null && high !== null) {
      const [first, last] = [low >> BigInt(shift), high >> BigInt(shift)];
      const leaves = Number(last - first + 1n);
      if (leaves > 1 && rows >= leaves * STEPPED_LEAF_ROWS && this.name.whole !== true) {
        const sql = this.#stepping(first, last, { low, high }, shift);
        if (await this.#stepsByIndex(session, sql)) return buckets(await session.rows<BucketRow>(sql));
      }
    }
    const conditions = [
      ...(low === null ? [] : [`${this.#integer} >= ${low}`]),
      ...(high === null ? [] : [`${this.#integer} <= ${high}`]),
    ];
    return this.#pass(session, `${this.#integer}::bigint >> ${shift}`, conditions.join(' and ') || 'true');
  }

  #stepping(first: bigint, last: bigint, { low, high }: { low: bigint; high: bigint }, shift: number): string {
    return fill(PASS_STEPS, {
      first: `'${first}'`,
      last: `'${last}'`,
      low: `'${low}'::bigint`,
      high: `'${high}'::bigint`,
      shift: `${shift}`,
      width: `${(1n << BigInt(shift)) - 1n}`,
      rows: this.#rows,
      hash: this.hash,
      column: this.#integer,
    });
  }

  /**
   * Whether the planner goes to each leaf by an index of the key: without one (the other side has another key, or lost its index) it
   * would read the whole table for each.
   */
  async #stepsByIndex(session: Session, sql: string): Promise<boolean> {
    if (this.#steps === null || performance.now() - this.#steps.askedAt > PLAN_HOLDS_MS) {
      this.#steps = { byIndex: await readsByIndex(session, sql, 'leaf.number'), askedAt: performance.now() };
    }
    return this.#steps.byIndex;
  }

  /** The same of single leaves, each with all its keys: reads their pages only. */
  async passLeaves(
    session: Session,
    leaves: { low: bigint; high: bigint }[],
    shift: number,
  ): Promise<Map<string, Bucket>> {
    const sql = fill(PASS_LEAVES, { rows: this.#rows, hash: this.hash, column: this.#integer, shift: `${shift}` });
    return buckets(
      await session.rows<BucketRow>(sql, [leaves.map(({ low }) => `${low}`), leaves.map(({ high }) => `${high}`)]),
    );
  }

  /** Leaves are buckets of the seed; `mask` is a power of two less one. Sums of parts of a table add up to that of the whole. */
  async passBuckets(session: Session, mask: number, pages?: Pages): Promise<Map<string, Bucket>> {
    return this.#pass(session, `${this.seed} & ${mask}`, onPages(pages));
  }

  /** Pages of the table itself; null where it has none of its own. */
  async pages(session: Session): Promise<number | null> {
    if (this.name.whole === true) return null;
    const found = await session.row<{ pages: number }>(
      `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as pages`,
      [qualified(this.name)],
    );
    return found?.pages ?? null;
  }

  async #pass(session: Session, bucket: string, range: string): Promise<Map<string, Bucket>> {
    return buckets(await session.rows<BucketRow>(fill(PASS, { rows: this.#rows, hash: this.hash, bucket, range })));
  }

  /** In buckets by the hash of the key, like `passBuckets`; only rows for which a condition on `r` holds, with `within` only those in these. */
  async passWhere(session: Session, mask: number, condition: string, within?: Within): Promise<Map<string, Bucket>> {
    return this.#pass(session, `${this.seed} & ${mask}`, `${condition}${this.#inside(within)}`);
  }

  /** The rows of these keys, `size` keys a bucket: 0, 1, 2 … in their order. Of a table with a key only. */
  async passKeys(session: Session, keys: Key[], size: number): Promise<Map<string, Bucket>> {
    const sql = fill(PASS_KEYS, { ...this.#names, size: `${size}` });
    return buckets(await session.rows<BucketRow>(sql, columnsOf(keys)));
  }

  async rowsOfRanges(session: Session, ranges: { low: bigint; high: bigint }[]): Promise<Listing> {
    const sql = fill(ROWS_OF_RANGES, { ...this.#names, column: this.#integer });
    return listing(session, sql, [ranges.map((range) => `${range.low}`), ranges.map((range) => `${range.high}`)]);
  }

  async rowsOfBuckets(session: Session, mask: number, buckets: string[], pages?: Pages): Promise<Listing> {
    const sql = this.keyless ? COUNTS_OF_BUCKETS : ROWS_OF_BUCKETS;
    const names = { ...this.#names, bucket: `${this.seed} & ${mask}`, range: onPages(pages) };
    return listing(session, fill(sql, names), [buckets]);
  }

  /** Rows whose version was written since a watermark of this very session's server: see `writtenSince`. Without a key, the hash is the key. */
  async rowsSince(session: Session, watermark: string, pages?: Pages): Promise<Listed[]> {
    const names = { ...this.#names, range: onPages(pages), since: writtenSince(watermark) };
    return session.rows<Listed & Record<string, unknown>>(fill(WRITTEN_SINCE, names));
  }

  /** In the order of `keys`. `pages`: only for a table without a key, whose counts of parts add up. */
  async read(session: Session, keys: Key[], pages?: Pages): Promise<Reading[]> {
    const sql = fill(this.keyless ? READ_BY_HASH : READ_BY_KEY, { ...this.#names, range: onPages(pages) });
    const found = await session.rows<Reading & { position: number }>(sql, columnsOf(keys));
    const readings: Reading[] = keys.map(() => ({ signature: null, version: null }));
    for (const { position, signature, version } of found) readings[position - 1] = { signature, version };
    return readings;
  }

  async count(session: Session): Promise<number> {
    const found = await session.row<{ count: string }>(`select count(*)::text as count from ${this.#rows} as r`);
    return Number(found?.count ?? 0);
  }

  /**
   * Keys of the rows for which a condition on `r` holds; with `within` only those in these buckets of `passWhere`.
   * Of a table with a key only.
   */
  async keysWhere(session: Session, condition: string, within?: Within): Promise<Key[]> {
    const rows = await session.rows<{ key: Key }>(
      `select array[${this.#names['key']}]::text[] as key from ${this.#rows} as r where ${condition}${this.#inside(within)}`,
    );
    return rows.map(({ key }) => key);
  }

  #inside(within: Within | undefined): string {
    if (within === undefined) return '';
    return ` and (${this.seed} & ${within.mask}) = any ('{${within.buckets.join(',')}}'::bigint[])`;
  }

  /** Rows by key, each column as text by its type's own output; null where there is none. Of a table with a key only. */
  async images(session: Session, keys: Key[]): Promise<(Image | null)[]> {
    const columns = this.shape.columns.map(({ name, type }) => text(type, `r.${identifier(name)}`));
    const sql = fill(IMAGES, { ...this.#names, columns: columns.join(', ') });
    const found = await session.rows<{ position: number; image: (string | null)[] }>(sql, columnsOf(keys));
    const images: (Image | null)[] = keys.map(() => null);
    for (const { position, image } of found) {
      images[position - 1] = Object.fromEntries(
        this.shape.columns.map(({ name }, index) => [name, image[index] ?? null]),
      );
    }
    return images;
  }

  /**
   * Takes FOR SHARE, or FOR UPDATE, on the rows of these keys, in an open transaction; tells which are there and locked. With `skip`,
   * rows that somebody else holds are left out instead of waited for.
   */
  async lockRows(
    session: Session,
    keys: Key[],
    skip: boolean,
    strength: 'share' | 'update' = 'share',
  ): Promise<Set<number>> {
    const sql = fill(LOCK_ROWS, { ...this.#names, strength }) + (skip ? ' skip locked' : '');
    const found = await session.rows<{ position: number }>(sql, columnsOf(keys));
    return new Set(found.map((row) => row.position - 1));
  }

  /** `r` is the row of this key, whose columns are the parameters from `first` on. For a statement of the caller's own. */
  keyCondition(first: number): string {
    return keyColumns(this.shape.key)
      .map((column, index) => {
        const equals = this.shape.equals[index] ?? '=';
        return `r.${identifier(column.name)} ${equals} $${first + index}::${castName(column)}`;
      })
      .join(' and ');
  }

  /** SHARE: readers go on, writers wait. ACCESS SHARE: only what rewrites or changes the table itself waits. */
  async lockTable(session: Session, mode: 'share' | 'access share' = 'share'): Promise<void> {
    await session.run(`lock table ${this.#table} in ${mode} mode`);
  }

  get #names(): Record<string, string> {
    const columns = keyColumns(this.shape.key);
    return {
      rows: this.#rows,
      hash: this.hash,
      key: this.keyless
        ? `(${this.hash})::text`
        : columns.map((column) => text(column.type, `r.${identifier(column.name)}`)).join(', '),
      arrays: columns.map((_, index) => `$${index + 1}::text[]`).join(', '),
      names: columns.map((_, index) => `k${index + 1}`).join(', '),
      join: columns
        .map((column, index) => {
          const equals = this.shape.equals[index] ?? '=';
          return `r.${identifier(column.name)} ${equals} wanted.k${index + 1}::${castName(column)}`;
        })
        .join(' and '),
    };
  }
}

/** A domain's checks have no say in a comparison: keys are cast to what the domain stands on. */
function castName(column: ColumnShape): string {
  let type = column.type;
  while (type.kind === 'domain') type = type.base;
  return type.castName;
}

export function keyColumns(key: KeyShape): ColumnShape[] {
  if (key.kind === 'none') return [];
  return key.kind === 'integer' ? [key.column] : key.columns;
}

function columnsOf(keys: Key[]): string[][] {
  return (keys[0] ?? []).map((_, index) => keys.map((key) => key[index] ?? ''));
}

/** Rows by key, the key as JSON; several hashes where a key occurs more than once. */
export type Listing = Map<string, string[]>;

async function listing(session: Session, sql: string, values: unknown[]): Promise<Listing> {
  const rows = await session.rows<{ key: Key; hash: string }>(sql, values);
  const found: Listing = new Map();
  for (const row of rows) {
    const key = JSON.stringify(row.key);
    const hashes = found.get(key);
    if (hashes) hashes.push(row.hash);
    else found.set(key, [row.hash]);
  }
  return found;
}

/** One table on both sides. */
export interface ComparedTable extends TableName {
  source: TableStatements;
  target: TableStatements;
  estimatedRows: number;
  /** With what is stored apart, on average. */
  bytesOfARow: number;
}

export const statementsOn = (table: ComparedTable, session: Session): TableStatements =>
  session.side === 'source' ? table.source : table.target;
