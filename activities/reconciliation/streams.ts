/**
 * Change streams of both sides: a logical slot and a publication each, from which an incremental run learns which rows were touched,
 * deletions and changes made behind replication's back included. A slot holds back WAL, so one that would hold back too much is
 * given up, and the next run is a full one.
 * https://www.postgresql.org/docs/current/logicaldecoding-sql.html
 */
import { createHash } from 'node:crypto';
import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { sqlState } from '../postgres/errors.js';
import { bothSides, type Sides } from '../postgres/sides.js';
import type { Session } from '../postgres/session.js';
import { identifier, literal, nameOf, qualified, statement, type TableName } from '../postgres/statements.js';
import { keyColumns, statementsOn, type ComparedTable, type Key } from '../postgres/validation/compared-table.js';
import { pairOf } from './reconcile.js';

const IDENTIFIED = statement(import.meta.url, './sql/identified_tables.sql');
const SIDES = ['source', 'target'] as const;
/** More touched rows than this are as well read all together, and are no longer kept in memory. */
const KEYS_AT_MOST = 500_000;
/** Changes held in memory at a time. */
const CHANGES_AT_ONCE = 20_000;

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
  const published: Set<string>[] = [];
  for (const side of SIDES) published.push(await haveStream(sides.of(side), normal, tables));
  const [here = new Set<string>(), there = new Set<string>()] = published;
  return new Set([...here].filter((name) => there.has(name)));
}

async function haveStream(
  session: Session,
  normal: NormalReconciliation,
  tables: ComparedTable[],
): Promise<Set<string>> {
  const name = streamName(normal);
  const level = await session.row<{ level: string }>(`select current_setting('wal_level') as level`);
  if (level?.level !== 'logical')
    throw new NoStream(`wal_level of the ${session.side} is ${level?.level}, not logical`);
  const identified = await session.rows<TableName & Record<string, unknown>>(IDENTIFIED, [
    JSON.stringify(tables.map(({ schema, name: table }) => ({ schema, name: table }))),
  ]);
  if (identified.length === 0) throw new NoStream(`no table of the ${session.side} has a replica identity`);
  // a slot waits for transactions that are open; those may be for hours
  await session.run(`set statement_timeout = ${normal.limits.statementTimeout}`);
  try {
    const list = identified.map((table) => `only ${qualified(table)}`).join(', ');
    const known = await session.row('select from pg_publication where pubname = $1', [name]);
    if (known === undefined) await session.run(`create publication ${identifier(name)} for table ${list}`);
    else await session.run(`alter publication ${identifier(name)} set table ${list}`);
    const slot = await session.row('select from pg_replication_slots where slot_name = $1', [name]);
    if (slot === undefined) await session.rows(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
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
  return { source: await end(sides.source), target: await end(sides.target) };
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

/** What both streams say, up to a position each. */
export interface Touched {
  /** By table. */
  keys: Map<string, Key[]>;
  /** Tables that were truncated, or whose changes don't tell their key: all their rows are touched. */
  whole: Set<string>;
  /** Up to where each side's stream was read. */
  upTo: Record<Primary, string>;
}

/**
 * Reads both streams without consuming them, so that a run that fails reads them again. Null: there is none, or it was lost, or
 * it holds more than is worth reading. A side whose slot holds back more than is allowed gives it up.
 */
export async function readStreams(
  sides: Sides,
  normal: NormalReconciliation,
  tables: ComparedTable[],
): Promise<Touched | null> {
  const touched: Touched = { keys: new Map(), whole: new Set(), upTo: { source: '0/0', target: '0/0' } };
  const seen = new Set<string>();
  for (const side of SIDES) {
    const upTo = await readStream(sides.of(side), normal, tables, touched, seen);
    if (upTo === null) return null;
    touched.upTo[side] = upTo;
  }
  return touched;
}

async function readStream(
  session: Session,
  normal: NormalReconciliation,
  tables: ComparedTable[],
  touched: Touched,
  seen: Set<string>,
): Promise<string | null> {
  const name = streamName(normal);
  const state = await session.row<{ held: string; lost: boolean; position: string }>(
    `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::text as held, coalesce(wal_status = 'lost', true) as lost,
            pg_current_wal_insert_lsn()::text as position
     from pg_replication_slots where slot_name = $1`,
    [name],
  );
  if (state === undefined) return null;
  const most = normal.incremental?.maxRetainedWal ?? 0;
  if (state.lost || (most > 0 && Number(state.held) > most)) {
    await dropStream(session, name);
    return null;
  }
  const known = new Map(tables.map((table) => [nameOf(table), table]));
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [name] });
  // the server decodes the whole stream up to a position at once; here it comes in portions
  const changes = `select data from pg_logical_slot_peek_binary_changes(${literal(name)}, ${literal(state.position)}::pg_lsn, null,
    'proto_version', '1', 'publication_names', ${literal(identifier(name))})`;
  const few = await session.transaction(async () => {
    await session.run(`declare changes no scroll cursor for ${changes}`);
    for (;;) {
      const rows = await session.rows<{ data: Buffer }>(`fetch ${CHANGES_AT_ONCE} from changes`);
      for (const { data } of rows) note(plugin.parse(data), session, known, touched, seen);
      if (rows.length < CHANGES_AT_ONCE) return true;
      if (seen.size > KEYS_AT_MOST) return false;
    }
  });
  if (!few) return null;
  return state.position;
}

function note(
  message: Pgoutput.Message,
  session: Session,
  known: Map<string, ComparedTable>,
  touched: Touched,
  seen: Set<string>,
): void {
  switch (message.tag) {
    case 'relation':
      // keys are compared as the type writes them, not as a driver would read them
      for (const column of message.columns) column.parser = (raw: unknown) => raw;
      return;
    case 'insert':
      return add(message.relation, message.new);
    case 'update':
      add(message.relation, message.old ?? message.key);
      return add(message.relation, message.new);
    case 'delete':
      return add(message.relation, message.old ?? message.key);
    case 'truncate':
      for (const relation of message.relations) touched.whole.add(nameOf(tableOf(relation)));
      return;
    default:
      return;
  }

  function add(relation: Pgoutput.MessageRelation, row: Record<string, unknown> | null): void {
    if (row === null) return;
    const name = nameOf(tableOf(relation));
    const table = known.get(name);
    if (table === undefined) return;
    const columns = keyColumns(statementsOn(table, session).shape.key).map(({ name: column }) => column);
    const key = columns.map((column) => row[column]);
    if (key.some((part) => typeof part !== 'string')) {
      touched.whole.add(name);
      return;
    }
    const once = `${name} ${JSON.stringify(key)}`;
    if (seen.has(once)) return;
    seen.add(once);
    const keys = touched.keys.get(name);
    if (keys === undefined) touched.keys.set(name, [key as Key]);
    else keys.push(key as Key);
  }
}

const tableOf = ({ schema, name }: Pgoutput.MessageRelation): TableName => ({ schema, name });

/** What was read needs not be read again: called once the run that read it is kept. */
export async function consumeStreams(
  sides: Sides,
  normal: NormalReconciliation,
  upTo: Record<Primary, string>,
): Promise<void> {
  for (const side of SIDES) {
    await sides
      .of(side)
      .rows(
        'select pg_replication_slot_advance(slot_name, $2::pg_lsn) from pg_replication_slots where slot_name = $1',
        [streamName(normal), upTo[side]],
      );
  }
}
