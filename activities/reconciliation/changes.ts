/**
 * What the change stream of one side says of its tables: which rows were written, and how each of them was left. Read without consuming
 * it, so that a run that fails reads it again.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import { copyValues } from '../postgres/copy-values.js';
import type { Session } from '../postgres/session.js';
import { identifier, literal, nameOf, statement } from '../postgres/statements.js';
import { keyColumns, statementsOn, type ComparedTable } from '../postgres/validation/compared-table.js';
import type { Dialect, KeyShape } from '../postgres/validation/expression.js';
import { fill } from '../postgres/validation/template.js';
import { LeftRows, nameOfKey, type KeyName } from './left-rows.js';

const CHANGES = statement(import.meta.url, './sql/changes.sql');
const STREAMED_TABLES = statement(import.meta.url, './sql/streamed_tables.sql');

/** More touched rows than this are as well read all together, and are no longer kept in memory. */
const KEYS_AT_MOST = 500_000;
/** Bytes of a message before its columns, and of each column of a key: an integer has up to 20 characters, a uuid 36; 5 more say so. */
const HEADER_BYTES = 8;
const INTEGER_BYTES = 25;
const KEY_COLUMN_BYTES = 48;
/** Of tables whose key comes after other columns. */
const LONG_BYTES = 8_192;
const WHOLE_BYTES = 2 ** 30;
/** Messages held in memory at a time: short ones, longer ones, and those that may hold documents of megabytes. */
const SHORT_AT_ONCE = 20_000;
const LONG_AT_ONCE = 1_000;
const WHOLE_AT_ONCE = 50;

const INSERT = 0x49;
const UPDATE = 0x55;
const NEW_ROW = 0x4e;
const TEXT = 0x74;
const NULL = 0x6e;
const UNCHANGED = 0x75;
const ZERO = 0x30;
/** Texts that a number is again as it was: without a sign, without leading zeros, and exact. */
const DIGITS = /^(0|[1-9][0-9]{0,14})$/;
/** Of each message in an answer: its place in it, its length before it was cut, and a hash of eight bytes. */
const FRAME_BYTES = 16;

/** A table as one side's stream tells of it. */
export interface StreamedTable {
  rows: LeftRows;
  /** Truncated, or changed in a way that doesn't tell the key: all its rows are touched. */
  whole: boolean;
  /** As messages have it; null before the first one, and where that changed between two of them. */
  layout: Layout | null;
}

export interface Layout {
  columns: string[];
  /** The rows' identity is the very key that is compared, so that no two rows have one key. */
  identified: boolean;
}

/** What the catalog says of a table that is streamed. */
export interface StreamedFacts {
  /** Its number, as messages have it: of 32 bits, the first of them a sign. */
  relation: number;
  /** Becomes another one when rows may have changed that no message tells of. */
  mark: string;
  /** Some value is stored apart; messages leave out those that an UPDATE left alone. */
  apart: boolean;
  /** In the order that messages have them in. */
  columns: string[];
  /** Messages hold rows as they were, too, and come whole. */
  toldWhole: boolean;
}

export async function streamedFacts(session: Session, tables: ComparedTable[]): Promise<Map<string, StreamedFacts>> {
  const rows = await session.rows<StreamedFacts & { schema: string; name: string }>(STREAMED_TABLES, [
    JSON.stringify(tables.map(({ schema, name }) => ({ schema, name }))),
  ]);
  return new Map(rows.map(({ schema, name, ...facts }) => [nameOf({ schema, name }), facts]));
}

export interface Stream {
  /** Of the slot and of its publication. */
  name: string;
  position: string;
  tables: ComparedTable[];
  facts: Map<string, StreamedFacts>;
  /** Both sides hash alike. */
  dialect: Dialect;
}

/** By table, those that messages name; null: it holds more than is worth reading. */
export async function changesOf(session: Session, stream: Stream): Promise<Map<string, StreamedTable> | null> {
  try {
    return await changesWithin(session, stream, LONG_BYTES);
  } catch (error) {
    if (!(error instanceof CutOff)) throw error;
    return changesWithin(session, stream, WHOLE_BYTES);
  }
}

/** What came of a message doesn't reach as far as the key. */
class CutOff extends Error {}

async function changesWithin(
  session: Session,
  { name, position, tables, facts, dialect }: Stream,
  long: number,
): Promise<Map<string, StreamedTable> | null> {
  // a key that was cut off once may be of any of them
  const keyed = long === WHOLE_BYTES ? [] : tables;
  const leading = keyed.filter((table) => leads(keyNames(table, session), facts.get(nameOf(table))?.columns));
  const whole = long === WHOLE_BYTES || [...facts.values()].some(({ toldWhole }) => toldWhole);
  const bytes = leading.map((table) => keyBytes(statementsOn(table, session).shape.key));
  const cut: Cut = {
    short: HEADER_BYTES + Math.max(0, ...bytes),
    long,
    leading:
      leading.length === tables.length
        ? 'all'
        : new Set(leading.flatMap((table) => facts.get(nameOf(table))?.relation ?? [])),
  };
  const atOnce = whole ? WHOLE_AT_ONCE : cut.leading === 'all' ? SHORT_AT_ONCE : LONG_AT_ONCE;
  const row = 'substring(data from 7)';
  const changes = fill(CHANGES, {
    slot: literal(name),
    publication: literal(identifier(name)),
    position: literal(position),
    cut: cutExpression(cut),
    portion: `${atOnce}`,
    hash: dialect === 'text' ? `hashtextextended(encode(${row}, 'hex'), 0)` : `hash_record_extended(row(${row}), 0)`,
  });
  const read = new Changes(new Map(tables.map((table) => [nameOf(table), keyNames(table, session)])), cut, atOnce);
  // the server decodes the whole stream up to a position at once; here it comes in portions
  const few = await copyValues(session, changes, (portion) => {
    read.take(portion);
    return read.count <= KEYS_AT_MOST;
  });
  return few ? read.tables : null;
}

/** How much comes of a message that holds nothing but the row as it is now. */
interface Cut {
  /** Bytes, of tables whose key comes first. */
  short: number;
  /** Bytes, of the others. */
  long: number;
  /** Tables whose key comes first, by their numbers. */
  leading: 'all' | Set<number>;
}

function cutExpression({ short, long, leading }: Cut): string {
  if (leading === 'all') return `${short}`;
  const relations = [...leading].map((relation) => `int4send(${relation})`).join(', ');
  return `case when substring(data from 2 for 4) = any (array[${relations}]::bytea[]) then ${short} else ${long} end`;
}

const leads = (key: string[], columns: string[] = []): boolean =>
  key.every((column) => columns.slice(0, key.length).includes(column));

const keyBytes = (key: KeyShape): number =>
  key.kind === 'integer' ? INTEGER_BYTES : keyColumns(key).length * KEY_COLUMN_BYTES;

const keyNames = (table: ComparedTable, session: Session): string[] =>
  keyColumns(statementsOn(table, session).shape.key).map(({ name }) => name);

interface Relation {
  table: StreamedTable;
  /** Where the columns of the key are, in its order; null: not all of them are published. */
  positions: number[] | null;
  /** Each UPDATE tells the key that the row had before, if that was another one. */
  tellsOldKey: boolean;
}

/** Takes messages in their order. */
export class Changes {
  readonly tables = new Map<string, StreamedTable>();
  readonly #keys: Map<string, string[]>;
  readonly #cut: Cut;
  /** Messages of a portion, at the most. */
  readonly #atOnce: number;
  readonly #plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [] });
  /** By the number that messages have; null: it isn't compared by key. */
  readonly #relations = new Map<number, Relation | null>();
  /** By table, what its first message of this kind said. */
  readonly #described = new Map<string, string>();

  /** @param keys columns of the key, by table */
  constructor(keys: Map<string, string[]>, cut: Cut, atOnce: number) {
    this.#keys = keys;
    this.#cut = cut;
    this.#atOnce = atOnce;
  }

  get count(): number {
    let count = 0;
    for (const { rows } of this.tables.values()) count += rows.size;
    return count;
  }

  /** An answer of changes.sql. Throws where a message was cut off before its key ends. */
  take(messages: Buffer): void {
    // a buffer's own ways to read numbers take twice as long
    const view = new DataView(messages.buffer, messages.byteOffset, messages.length);
    // a server that has no memory for a whole portion doesn't keep the order in it
    const places = new Int32Array(this.#atOnce).fill(-1);
    for (let at = 0; at < messages.length; at = this.#endOf(view, at)) places[view.getInt32(at)] = at;
    for (const at of places) if (at >= 0) this.#takeOne(messages, view, at);
  }

  #endOf(view: DataView, at: number): number {
    const start = at + FRAME_BYTES;
    const length = view.getInt32(at + 4);
    return start + (isCut(view, start) ? Math.min(length, this.#bytesOf(view.getInt32(start + 1))) : length);
  }

  #takeOne(messages: Buffer, view: DataView, at: number): void {
    const start = at + FRAME_BYTES;
    const end = this.#endOf(view, at);
    if (!isCut(view, start)) return this.#note(this.#plugin.parse(messages.subarray(start, end)));
    const relation = this.#relationOf(view.getInt32(start + 1));
    if (relation === null) return;
    const { table, positions, tellsOldKey } = relation;
    const cut = end - start < view.getInt32(at + 4);
    const key = positions === null ? null : keyIn(messages, view, start + 6, end, cut, positions);
    if (key === null || (view.getUint8(start) === UPDATE && !tellsOldKey)) table.whole = true;
    else table.rows.hashed(key, view.getInt32(at + 8), view.getInt32(at + 12));
  }

  #bytesOf(relation: number): number {
    const { short, long, leading } = this.#cut;
    return leading === 'all' || leading.has(relation) ? short : long;
  }

  #relationOf(number: number): Relation | null {
    const relation = this.#relations.get(number);
    if (relation === undefined) throw new Error(`a change stream names relation ${number}, which it never described`);
    return relation;
  }

  #note(message: Pgoutput.Message): void {
    switch (message.tag) {
      case 'relation':
        return this.#describe(message);
      case 'update':
        this.#left(message.relation, message.old ?? message.key, 'gone');
        return this.#left(message.relation, message.new, 'untold');
      case 'delete':
        return this.#left(message.relation, message.old ?? message.key, 'gone');
      case 'truncate':
        for (const { relationOid } of message.relations) {
          const relation = this.#relationOf(relationOid);
          if (relation !== null) relation.table.whole = true;
        }
        return;
      case 'type':
      case 'origin':
      case 'message':
        return;
      default:
        throw new Error(`a change stream holds a message of kind ${message.tag}, which was not asked for`);
    }
  }

  #describe(message: Pgoutput.MessageRelation): void {
    const name = nameOf(message);
    const key = this.#keys.get(name) ?? [];
    if (key.length === 0) {
      this.#relations.set(message.relationOid, null);
      return;
    }
    // keys are compared as the type writes them, not as a driver would read them
    for (const column of message.columns) column.parser = (raw: unknown) => raw;
    const columns = message.columns.map((column) => column.name);
    const identity = message.replicaIdentity;
    const tellsOldKey = identity === 'full' || key.every((column) => message.keyColumns.includes(column));
    const unique = identity === 'default' || identity === 'index';
    const identified = unique && tellsOldKey && message.keyColumns.length === key.length;
    const described = JSON.stringify([
      message.relationOid,
      identity,
      message.columns.map(({ name: column, flags, typeOid, typeMod }) => [column, flags, typeOid, typeMod]),
    ]);
    const known = this.#described.get(name);
    const table = this.tables.get(name) ?? { rows: new LeftRows(), whole: false, layout: null };
    if (known === undefined) table.layout = { columns, identified };
    else if (known !== described) table.layout = null;
    if (known === undefined) this.#described.set(name, described);
    this.tables.set(name, table);
    const positions = key.map((column) => columns.indexOf(column));
    this.#relations.set(message.relationOid, {
      table,
      positions: positions.includes(-1) ? null : positions,
      tellsOldKey,
    });
  }

  #left(message: Pgoutput.MessageRelation, row: Record<string, unknown> | null, how: 'gone' | 'untold'): void {
    const name = nameOf(message);
    const table = this.tables.get(name);
    if (row === null || table === undefined) return;
    const key = (this.#keys.get(name) ?? []).map((column) => row[column]);
    if (key.every((part): part is string => typeof part === 'string')) table.rows[how](keyName(key));
    else table.whole = true;
  }
}

/** A key of digits alone is a number, whatever its type: as text it is the same again. */
function keyName(key: string[]): KeyName {
  const name = nameOfKey(key);
  return typeof name === 'string' && DIGITS.test(name) ? Number(name) : name;
}

/** It holds nothing but a row as it is now. */
function isCut(view: DataView, start: number): boolean {
  const kind = view.getUint8(start);
  return (kind === INSERT || kind === UPDATE) && view.getUint8(start + 5) === NEW_ROW;
}

/** The key of a row in a message; null where it isn't told: it is null, or stored apart and was left alone. */
function keyIn(
  messages: Buffer,
  view: DataView,
  from: number,
  end: number,
  cut: boolean,
  positions: number[],
): KeyName | null {
  if (from + 2 > end) return endsEarly(cut);
  let parts: string[] | null = null;
  let columns = view.getInt16(from);
  let at = from + 2;
  for (let column = 0, found = 0; found < positions.length; column += 1) {
    if (columns-- === 0) return null;
    if (at >= end) return endsEarly(cut);
    const kind = view.getUint8(at);
    const part = positions.indexOf(column);
    at += 1;
    if (kind === NULL || kind === UNCHANGED) {
      if (part >= 0) return null;
      continue;
    }
    if (kind !== TEXT) throw new Error(`a change stream holds a column of kind ${kind}, which was not asked for`);
    if (at + 4 > end) return endsEarly(cut);
    const start = at + 4;
    at = start + view.getInt32(at);
    if (part < 0) continue;
    if (at > end) return endsEarly(cut);
    if (positions.length === 1) return numberIn(view, start, at) ?? messages.toString('utf8', start, at);
    parts ??= [];
    parts[part] = messages.toString('utf8', start, at);
    found += 1;
  }
  return nameOfKey(parts ?? []);
}

function endsEarly(cut: boolean): never {
  if (cut) throw new CutOff();
  throw new Error('a message of a change stream ends within a column');
}

/** What `keyName` makes a number, without its text: that took half of the time. */
function numberIn(view: DataView, start: number, end: number): number | null {
  const length = end - start;
  if (length === 0 || length > 15 || (view.getUint8(start) === ZERO && length > 1)) return null;
  let number = 0;
  for (let at = start; at < end; at += 1) {
    const digit = view.getUint8(at) - ZERO;
    if (digit < 0 || digit > 9) return null;
    number = number * 10 + digit;
  }
  return number;
}
