/**
 * Change streams of both sides: a logical slot and a publication each, from which an incremental run learns which rows were touched,
 * deletions and changes made behind replication's back included. A slot holds back WAL, so one that would hold back too much is
 * given up, and the next run is a full one.
 * https://www.postgresql.org/docs/current/logicaldecoding-sql.html
 */
import { createHash } from 'node:crypto';
import type { Milliseconds } from '../../spec/normal.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { sqlState } from '../postgres/errors.js';
import { bothSides, eachSide, type Sides } from '../postgres/sides.js';
import type { Session } from '../postgres/session.js';
import { identifier, nameOf, qualified, statement, type TableName } from '../postgres/statements.js';
import { keyColumns, type ComparedTable, type Key } from '../postgres/validation/compared-table.js';
import type { Dialect } from '../postgres/validation/expression.js';
import { changesOf, streamedFacts, type StreamedFacts, type StreamedTable } from './changes.js';
import { keyOfName, LeftRows } from './left-rows.js';
import { pairOf } from './pair.js';

const STREAM = statement(import.meta.url, './sql/stream.sql');
const SIDES = ['source', 'target'] as const;

/** Names hold 63 bytes; a reconciliation's may be as long. */
export function streamName({ name }: Pick<NormalReconciliation, 'name'>): string {
  return `godwit_reconcile_${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

/** Why there is no stream of a side, in words. */
export class NoStream extends Error {}

/**
 * Makes publication and slot where they aren't there, and answers the tables that both sides publish. Publication first: a slot that
 * is older would never find it. Only tables with a replica identity: an UPDATE of any other would fail once it is published.
 * Throws `NoStream` where a server can't have them.
 */
export async function haveStreams(
  sides: Sides,
  normal: NormalReconciliation,
  tables: ComparedTable[],
): Promise<Set<string>> {
  const { source, target } = await eachSide((side) => haveStream(sides.of(side), normal, tables));
  return new Set([...source].filter((name) => target.has(name)));
}

async function haveStream(
  session: Session,
  normal: NormalReconciliation,
  tables: ComparedTable[],
): Promise<Set<string>> {
  const name = streamName(normal);
  const found = await session.row<{ level: string; slot: boolean; tables: TableName[]; published: boolean | null }>(
    STREAM,
    [JSON.stringify(tables.map(({ schema, name: table }) => ({ schema, name: table }))), name],
  );
  if (found === undefined) throw new Error(`the ${session.side} does not tell what streams it has`);
  const identified = found.tables;
  if (found.level !== 'logical') throw new NoStream(`wal_level of the ${session.side} is ${found.level}, not logical`);
  if (identified.length === 0) throw new NoStream(`no table of the ${session.side} has a replica identity`);
  if (found.slot && found.published === true) return new Set(identified.map(nameOf));
  // a slot waits for transactions that are open; those may be for hours
  await session.run(`set statement_timeout = ${normal.limits.statementTimeout}`);
  try {
    const list = identified.map((table) => `only ${qualified(table)}`).join(', ');
    if (found.published === null) await session.run(`create publication ${identifier(name)} for table ${list}`);
    else if (!found.published) await session.run(`alter publication ${identifier(name)} set table ${list}`);
    if (!found.slot) await session.rows(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  } catch (error) {
    if (sqlState(error) === undefined || !(error instanceof Error)) throw error;
    throw new NoStream(`the ${session.side} gives this role no change stream: ${error.message}`);
  } finally {
    if (!session.lost) await session.run('set statement_timeout = 0');
  }
  return new Set(identified.map(nameOf));
}

/** Where both streams end now: what comes later is for the next run. */
export async function streamEnds(sides: Sides): Promise<Record<Primary, string>> {
  const end = async (session: Session): Promise<string> =>
    (await session.row<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn'))?.lsn ?? '0/0';
  return eachSide((side) => end(sides.of(side)));
}

/** Whether both streams still tell of all that comes after these positions: one that was made anew since does not. */
export async function streamsReach(
  sides: Sides,
  normal: NormalReconciliation,
  positions: Record<Primary, string>,
): Promise<boolean> {
  const reaches = await Promise.all(
    SIDES.map((side) =>
      sides
        .of(side)
        .row(
          `select from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn <= $2::pg_lsn and wal_status is distinct from 'lost'`,
          [streamName(normal), positions[side]],
        ),
    ),
  );
  return reaches.every((row) => row !== undefined);
}

/** Publications and slots of this reconciliation, on both sides. Fine when nothing is there. */
export async function dropStreams(normal: NormalReconciliation): Promise<void> {
  await using sides = await bothSides(pairOf(normal), 'streams');
  for (const side of SIDES) await dropStream(sides.of(side), streamName(normal));
}

async function dropStream(session: Session, name: string): Promise<void> {
  await session.rows(
    `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active`,
    [name],
  );
  const known = await session.row('select from pg_publication where pubname = $1', [name]);
  if (known !== undefined) await session.run(`drop publication ${identifier(name)}`);
}

/** Up to where both streams are read, and what each table was like before. As JSON it is kept with a run. */
export interface StreamEnds {
  upTo: Record<Primary, string>;
  /** By table, of those that both sides have. */
  marks: Record<string, Record<Primary, string>>;
}

/** What both streams say, up to a position each. */
export interface Touched {
  /** By table: keys of rows that are to be looked at. */
  keys: Map<string, Key[]>;
  /** By table: how many rows both streams left alike, column for column. */
  alike: Map<string, number>;
  /** By table: its part, by its rows, of the time that reading took. */
  readMs: Map<string, Milliseconds>;
  /** Tables that were truncated, or whose changes don't tell their key: all their rows are touched. */
  whole: Set<string>;
  upTo: Record<Primary, string>;
}

export type BothFacts = Record<Primary, Map<string, StreamedFacts>>;

/** To be asked before the streams are read: a table that is rewritten later is another one to the next run. */
export const bothFacts = (sides: Sides, tables: ComparedTable[]): Promise<BothFacts> =>
  eachSide((side) => streamedFacts(sides.of(side), tables));

export function marksOf({ source, target }: BothFacts): StreamEnds['marks'] {
  const marks: StreamEnds['marks'] = {};
  for (const [name, { mark }] of source) {
    const other = target.get(name);
    if (other !== undefined) marks[name] = { source: mark, target: other.mark };
  }
  return marks;
}

/**
 * Reads both streams without consuming them, so that a run that fails reads them again. Null: there is none, or it was lost, or
 * it holds more than is worth reading. A side whose slot holds back more than is allowed gives it up.
 */
export async function readStreams(
  sides: Sides,
  normal: NormalReconciliation,
  tables: ComparedTable[],
  facts: BothFacts,
  dialect: Dialect,
): Promise<Touched | null> {
  const began = performance.now();
  const { source, target } = await eachSide((side) => readStream(sides.of(side), normal, tables, facts[side], dialect));
  if (source === null || target === null) return null;
  const tookMs = performance.now() - began;
  const rows = new Map<string, number>();
  const touched: Touched = {
    keys: new Map(),
    alike: new Map(),
    readMs: new Map(),
    whole: new Set(),
    upTo: { source: source.position, target: target.position },
  };
  for (const table of tables) {
    const name = nameOf(table);
    const [here, there] = [source.changes.get(name), target.changes.get(name)];
    if (here?.whole === true || there?.whole === true) touched.whole.add(name);
    const believed = tellsEqual(table, here, there) && !source.apart.has(name) && !target.apart.has(name);
    const { keys, alike } = (here?.rows ?? new LeftRows()).unlike(there?.rows ?? new LeftRows(), believed);
    const columns = keyColumns(table.source.shape.key).length;
    touched.keys.set(
      name,
      keys.map((key) => keyOfName(key, columns)),
    );
    touched.alike.set(name, alike);
    rows.set(name, keys.length + alike);
  }
  const all = [...rows.values()].reduce((sum, some) => sum + some, 0);
  for (const [name, some] of rows) touched.readMs.set(name, all === 0 ? 0 : Math.ceil((tookMs * some) / all));
  return touched;
}

/**
 * Whether rows that both streams left with the same hash are the same: messages of both sides have the same columns in the same order,
 * all that are compared among them, and a key names one row at the most. What a message leaves out it doesn't tell, so that no value
 * may be stored apart.
 */
function tellsEqual(table: ComparedTable, here: StreamedTable | undefined, there: StreamedTable | undefined): boolean {
  const [one, other] = [here?.layout, there?.layout];
  if (one == null || other == null || !one.identified || !other.identified) return false;
  if (JSON.stringify(one.columns) !== JSON.stringify(other.columns)) return false;
  return table.source.shape.columns.every(({ name }) => one.columns.includes(name));
}

/** What one side's stream says, and the tables that store values apart. */
interface OneStream {
  position: string;
  changes: Map<string, StreamedTable>;
  apart: Set<string>;
}

async function readStream(
  session: Session,
  normal: NormalReconciliation,
  tables: ComparedTable[],
  facts: Map<string, StreamedFacts>,
  dialect: Dialect,
): Promise<OneStream | null> {
  const name = streamName(normal);
  // decoding ends at what is flushed, and commits that wait for no disk are seen before that: they would be passed over
  await session.transact([
    'set local synchronous_commit = local',
    // the server puts down all that it decodes before it answers; more than this on disk
    `set work_mem = '64MB'`,
    `select pg_logical_emit_message(true, 'godwit', '')`,
  ]);
  const state = await session.row<{ held: string; lost: boolean; position: string }>(
    `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::text as held, coalesce(wal_status = 'lost', true) as lost,
            pg_current_wal_flush_lsn()::text as position
     from pg_replication_slots where slot_name = $1`,
    [name],
  );
  if (state === undefined) return null;
  const most = normal.incremental?.maxRetainedWal ?? 0;
  if (state.lost || (most > 0 && Number(state.held) > most)) {
    await dropStream(session, name);
    return null;
  }
  const { position } = state;
  const changes = await changesOf(session, { name, position, tables, facts, dialect });
  if (changes === null) return null;
  // asked afterwards: a value that was stored apart meanwhile is seen
  const now = await streamedFacts(session, tables);
  return { position, changes, apart: new Set([...now].filter(([, { apart }]) => apart).map(([table]) => table)) };
}

/** What was read needs not be read again: called once the run that read it is kept. */
export async function consumeStreams(
  sides: Sides,
  normal: NormalReconciliation,
  upTo: Record<Primary, string>,
): Promise<void> {
  await eachSide((side) =>
    sides.of(side).rows(
      `select pg_replication_slot_advance(slot_name, $2::pg_lsn) from pg_replication_slots
       where slot_name = $1 and confirmed_flush_lsn < $2::pg_lsn`,
      [streamName(normal), upTo[side]],
    ),
  );
}
