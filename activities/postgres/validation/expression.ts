/**
 * The strict hash of a row, as SQL. Equal hashes must mean equal rows, so every value goes in as bytes that tell apart
 * what Postgres itself calls equal or hashes alike: int8 and timestamps fold to 32 bits, numeric scale, ±0.0, '1 day' and
 * '24 hours', padding, citext and nondeterministic collations hash equal, jsonb collides for swapped elements, enums
 * hash by OID. A container (array, range, domain, composite) inherits all that from what it holds.
 *
 * Send forms are the wire format: the same on every version, and converted to the client's encoding, so that databases
 * of different encodings compare. Where a send form writes OIDs, which differ between servers, the text form stands in;
 * the session pins the settings that text forms depend on. Making a send form costs more than hashing it, so what has a strict
 * hash of its own goes in as it is: text by its bytes (collation "C"), where both databases have one encoding.
 *
 * The seed is the key: the hash of a record is linear in its columns (31 × a + b), so unseeded sums would miss values
 * that were swapped between two rows.
 *
 * Making a record costs more than hashing it, too. So a column that is never null and has a strict hash of its own stays out of
 * it: each such hash is the seed of the next, and the record's that of the first (all of it 0.86 times the CPU time). A record
 * of nothing but nulls forgets its seed, so the key is in it or among those columns. These functions are null for a null: should
 * there be one after all (the constraint was dropped since, or isn't valid), the record of all columns stands in.
 */
import { identifier } from '../statements.js';

/** A type with all that it contains, as one server describes it. */
export type TypeShape =
  | { kind: 'base'; name: string; builtin: boolean; send: string | null; output: string; castName: string }
  | { kind: 'enum'; name: string; castName: string }
  | { kind: 'domain'; name: string; castName: string; base: TypeShape }
  | { kind: 'array'; name: string; castName: string; element: TypeShape }
  | { kind: 'range' | 'multirange'; name: string; castName: string; bound: TypeShape }
  | { kind: 'composite'; name: string; castName: string; attributes: ColumnShape[] };

export interface ColumnShape {
  name: string;
  type: TypeShape;
  /** NOT NULL, on both sides where two are compared. */
  notNull?: boolean;
}

/**
 * - `integer`: one integer column; the seed is its value, leaves are ranges of it
 * - `columns`: any other unique key; the seed is its hash, leaves are buckets of that
 * - `none`: the table is a multiset; the row's own hash stands for the row
 */
export type KeyShape =
  { kind: 'integer'; column: ColumnShape } | { kind: 'columns'; columns: ColumnShape[] } | { kind: 'none' };

export interface RowExpression {
  /** bigint: the hash of row `r`. */
  hash: string;
  /** bigint: what spreads rows over buckets. */
  seed: string;
  /** The same on both sides, whatever names and numbers types have there; sides whose forms differ don't compare. */
  form: string;
}

/**
 * - `record`: hash_record_extended, from version 14
 * - `converted`: the same, with text in the client's encoding, since the two databases have one each
 * - `text`: hashtextextended over the record's text, for 13
 */
export type Dialect = 'record' | 'converted' | 'text';

/** Version and encoding of each database. */
export function dialectOf(...databases: { number: number; encoding: string }[]): Dialect {
  if (databases.some(({ number }) => number < 140_000)) return 'text';
  return new Set(databases.map(({ encoding }) => encoding)).size > 1 ? 'converted' : 'record';
}

/** Their own hash is already strict and the same everywhere. */
const HASHED_AS_THEY_ARE = new Set(['bool', 'int2', 'int4', 'date', 'uuid', 'bytea']);
const HASHED_AS_TEXT = new Set(['text', 'varchar']);

/** Names of objects travel as OIDs in send form; xml has its declaration rewritten; the rest has no send form at all. */
const TEXT_ONLY = new Set([
  'regproc',
  'regprocedure',
  'regoper',
  'regoperator',
  'regclass',
  'regcollation',
  'regtype',
  'regrole',
  'regnamespace',
  'regconfig',
  'regdictionary',
  'regdatabase',
  'xml',
  'aclitem',
]);

/** Longer chains of calls would be deep ones to parse and to plan. */
const CHAINED_AT_MOST = 32;

/** Integer types that a range of keys can be made of. */
const INTEGERS = new Set(['int2', 'int4', 'int8']);

export function isInteger(type: TypeShape): boolean {
  return type.kind === 'domain'
    ? isInteger(type.base)
    : type.kind === 'base' && type.builtin && INTEGERS.has(type.name);
}

/** The bytes (or the value itself, see above) that stand for a value. Null stays null. */
export function image(type: TypeShape, value: string, dialect: Dialect): string {
  switch (type.kind) {
    case 'base':
      if (type.builtin && HASHED_AS_THEY_ARE.has(type.name)) return value;
      if (dialect === 'record' && type.builtin && HASHED_AS_TEXT.has(type.name)) return `(${value})::text collate "C"`;
      return sendable(type) ? `${type.send}(${value})` : bytes(text(type, value));
    case 'enum':
      return `enum_send(${value})`;
    case 'domain':
      return image(type.base, `(${value})::${type.base.castName}`, dialect);
    case 'array':
      return sendable(type) ? `array_send(${value})` : bytes(text(type, value));
    case 'range':
    case 'multirange':
      return sendable(type) ? `${type.kind}_send(${value})` : bytes(text(type, value));
    case 'composite':
      return bytes(text(type, value));
  }
}

/** The strict hash of a value that isn't null, by a function that takes a seed; null: the type has none. */
function chained(type: TypeShape, value: string, dialect: Dialect): Link | null {
  if (type.kind === 'domain') return chained(type.base, `(${value})::${type.base.castName}`, dialect);
  if (type.kind !== 'base' || !type.builtin || dialect === 'text') return null;
  switch (type.name) {
    case 'bool':
      return (seed) => `hashint4extended((${value})::int4, ${seed})`;
    case 'int2':
    case 'int4':
      return (seed) => `hash${type.name}extended(${value}, ${seed})`;
    case 'uuid':
      return (seed) => `uuid_hash_extended(${value}, ${seed})`;
    case 'text':
    case 'varchar':
      return dialect === 'record' ? (seed) => `hashtextextended((${value})::text collate "C", ${seed})` : null;
    default:
      return null;
  }
}

/**
 * Text of a value by the type's own output function: a cast to text may be anything that somebody defined, and the one
 * of character(n) cuts its padding.
 */
export function text(type: TypeShape, value: string): string {
  switch (type.kind) {
    case 'base':
      return `${type.output}(${value})::text`;
    case 'enum':
      return `enum_out(${value})::text`;
    case 'domain':
      return text(type.base, `(${value})::${type.base.castName}`);
    case 'array':
      return `array_out(${value})::text`;
    case 'range':
    case 'multirange':
      return `${type.kind}_out(${value})::text`;
    case 'composite':
      return `record_out(${value})::text`;
  }
}

const bytes = (textValue: string): string => `textsend(${textValue})`;

/** Whether the send form of a type is strict and holds no OIDs that differ between servers. */
function sendable(type: TypeShape): boolean {
  switch (type.kind) {
    case 'base':
      return type.builtin && type.send !== null && !TEXT_ONLY.has(type.name);
    case 'array':
      // array_send writes the OID of the element's type, record_send that of every attribute's
      return type.element.kind === 'base' && sendable(type.element);
    case 'range':
    case 'multirange':
      return type.bound.kind === 'base' && sendable(type.bound);
    case 'enum':
    case 'domain':
    case 'composite':
      return false;
  }
}

/** How a type goes into the hash, without names of schemas and numbers that only one server knows. */
function formOf(type: TypeShape): string {
  switch (type.kind) {
    case 'base':
      return sendable(type) ? type.name : `${type.name} as text`;
    case 'enum':
      return 'enum as text';
    case 'domain':
      return formOf(type.base);
    case 'array':
      return `array of ${formOf(type.element)}`;
    case 'range':
    case 'multirange':
      return `${type.kind} of ${formOf(type.bound)}`;
    case 'composite':
      return `(${type.attributes.map((attribute) => `${attribute.name} ${formOf(attribute.type)}`).join(', ')}) as text`;
  }
}

/** The hash of row `r` of a table with these columns. */
export function rowExpression(columns: ColumnShape[], key: KeyShape, dialect: Dialect): RowExpression {
  const { others } = split(columns, key, dialect);
  const forms = columns.map(
    (column) => `${column.name} ${formOf(column.type)}${others.includes(column) ? '' : ' chained'}`,
  );
  const form = `${dialect}(${forms.join(', ')})`;
  switch (key.kind) {
    case 'integer': {
      const seed = `(${columnOf(key.column)})::bigint`;
      return { hash: hashOf(columns, key, seed, dialect), seed, form: `${form} seeded by ${key.column.name}` };
    }
    case 'columns': {
      const seed = hashOf(key.columns, key, '0', dialect);
      const names = key.columns.map((column) => column.name).join(', ');
      return { hash: hashOf(columns, key, seed, dialect), seed, form: `${form} seeded by the hash of ${names}` };
    }
    case 'none': {
      // hashed once more, since there is no key to break the linearity
      const hash = recordHash(`row(int8send(${hashOf(columns, key, '0', dialect)}))`, '0', dialect);
      return { hash, seed: hash, form: `${form} hashed twice` };
    }
  }
}

const columnOf = (column: ColumnShape): string => `r.${identifier(column.name)}`;

type Link = (seed: string) => string;

/** What is hashed by functions of its own, and what is left for a record. */
function split(columns: ColumnShape[], key: KeyShape, dialect: Dialect): { chain: Link[]; others: ColumnShape[] } {
  const chain: Link[] = [];
  const others = columns.filter((column) => {
    if (column.notNull !== true || isSeed(column, key) || chain.length >= CHAINED_AT_MOST) return true;
    const link = chained(column.type, columnOf(column), dialect);
    if (link !== null) chain.push(link);
    return link === null;
  });
  return { chain, others };
}

function hashOf(columns: ColumnShape[], key: KeyShape, seed: string, dialect: Dialect): string {
  const { chain, others } = split(columns, key, dialect);
  const all = recordHash(record(columns, key, dialect), seed, dialect);
  if (chain.length === 0) return all;
  const first = others.length === 0 ? seed : recordHash(record(others, key, dialect), seed, dialect);
  return `coalesce(${chain.reduce((hash, link) => link(hash), first)}, ${all})`;
}

const isSeed = (column: ColumnShape, key: KeyShape): boolean =>
  key.kind === 'integer' && column.name === key.column.name;

/** An integer key is the seed, so that its own hash, which folds it to 32 bits, needs not tell any more. */
function record(columns: ColumnShape[], key: KeyShape, dialect: Dialect): string {
  const images = columns.map((column) =>
    isSeed(column, key) ? `(${columnOf(column)})::bigint` : image(column.type, columnOf(column), dialect),
  );
  return `row(${images.join(', ')})`;
}

function recordHash(row: string, seed: string, dialect: Dialect): string {
  return dialect === 'text' ? `hashtextextended(${row}::text, ${seed})` : `hash_record_extended(${row}, ${seed})`;
}
