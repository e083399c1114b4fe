/** One slot and the snapshot that belongs to it: what the copy reads is exactly what the slot doesn't send. */
import { failure } from '../../failure.js';
import { sqlState } from '../errors.js';
import { scopeNames } from '../names.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { identifier, literal, qualified } from '../statements.js';
import { dropSlot, followsFailover } from '../replication/slot.js';
import type { SyncRun } from './sessions.js';

/** Longer than anybody holds a table for whom nobody of ours keeps it. */
const LOCK_TIMEOUT_MS = 3_000;
const LOCK_NOT_AVAILABLE = '55P03';
const ADMIN_SHUTDOWN = '57P01';

/** Somebody who rewrites tables all the time must be told, not raced. */
const ATTEMPTS = 5;

/** Names a snapshot that no open transaction exports, or no snapshot at all. */
const NO_SUCH_SNAPSHOT = new Set(['22023', '55000', '58P01']);

export interface Snapshot {
  /** In a transaction that sees the snapshot, with ACCESS SHARE on all tables. Closing it gives both back. */
  session: Session;
  /** Under which others may import it, for as long as the session lives. */
  name: string;
}

export interface SlotSnapshot extends Snapshot {
  /** The slot's consistent point. */
  lsn: string;
  /** See `filesOf`. */
  files: string;
}

/**
 * Creates the slot with an exported snapshot. Waits for the transactions that are open in the source's cluster. A table
 * rewritten between slot and lock (VACUUM FULL, ALTER COLUMN TYPE, TRUNCATE) looks empty or half-empty to the snapshot, so
 * then all starts again.
 */
export async function takeSnapshot(
  run: SyncRun,
  control: Session,
  tables: ScopeTable[],
  slot = scopeNames(run.key).slot('source'),
): Promise<SlotSnapshot> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const before = await filesOf(control, tables);
    const taken = await trySnapshot(run, tables, slot);
    const after = await filesOf(control, tables);
    if (before === after) return { ...taken, files: after };
    await taken.session.close();
    await dropSlot(control, slot);
  }
  throw failure(
    'Blocked',
    `tables of the source were rewritten ${ATTEMPTS} times while their copy began`,
    'Let VACUUM FULL, CLUSTER, TRUNCATE or ALTER TABLE finish, then retry',
  );
}

async function trySnapshot(run: SyncRun, tables: ScopeTable[], name: string): Promise<Snapshot & { lsn: string }> {
  const sender = await run.open('source', 'slot', true);
  try {
    const slot = await sender.row<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${identifier(name)} LOGICAL pgoutput ${await slotOptions(sender)}`,
    );
    if (slot === undefined) throw failure('Unexpected', 'the source did not answer CREATE_REPLICATION_SLOT');
    const taken = await importSnapshot(run, slot.snapshot_name, tables);
    if (taken === null) throw failure('Unexpected', 'the snapshot of a new replication slot can not be imported');
    return { ...taken, lsn: slot.consistent_point };
  } finally {
    // The snapshot is exported until the next command on this connection; from here on its importer holds it.
    await sender.close();
  }
}

/**
 * Holds a snapshot that somebody exports, and exports it too. `gone`: nobody does any more. `contended`: a TRUNCATE or other DDL
 * waits for the tables, behind those who hold them already, and would keep this one waiting behind itself for ever.
 */
export async function joinSnapshot(
  run: SyncRun,
  name: string,
  tables: ScopeTable[],
  role: string,
): Promise<Snapshot | 'gone' | 'contended'> {
  try {
    return (await importSnapshot(run, name, tables, role, LOCK_TIMEOUT_MS)) ?? 'gone';
  } catch (error) {
    if (sqlState(error) === LOCK_NOT_AVAILABLE) return 'contended';
    // The holder gives this snapshot up, and has ended whoever reads it.
    if (sqlState(error) === ADMIN_SHUTDOWN) return 'gone';
    throw error;
  }
}

async function importSnapshot(
  run: SyncRun,
  name: string,
  tables: ScopeTable[],
  role = 'snapshot',
  timeout = 0,
): Promise<Snapshot | null> {
  const session = await run.open('source', role);
  try {
    await beginIn(session, name);
    await session.run(`set local lock_timeout = ${timeout}`);
    const list = tables.map((table) => `only ${qualified(table)}`).join(', ');
    if (list !== '') await session.run(`lock table ${list} in access share mode`);
    const own = await session.row<{ name: string }>('select pg_export_snapshot() as name');
    if (own === undefined) throw failure('Unexpected', 'the source exports no snapshot');
    return { session, name: own.name };
  } catch (error) {
    await session.close();
    if (NO_SUCH_SNAPSHOT.has(sqlState(error) ?? '')) return null;
    throw error;
  }
}

/** Begins a transaction that sees an exported snapshot. */
async function beginIn(session: Session, name: string): Promise<void> {
  await session.run('begin isolation level repeatable read read only');
  await session.run(`set transaction snapshot ${literal(name)}`);
}

async function slotOptions(sender: Session): Promise<string> {
  return (await followsFailover(sender)) ? `(SNAPSHOT 'export', FAILOVER true)` : 'EXPORT_SNAPSHOT';
}

/** Table and file of each, as they are committed now; one that changes was rewritten, truncated or made anew. */
export async function filesOf(session: Session, tables: ScopeTable[]): Promise<string> {
  const row = await session.row<{ files: string | null }>(
    `select md5(string_agg(format('%s:%s', c.oid, c.relfilenode), ',' order by c.oid)) as files
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name`,
    [JSON.stringify(tables)],
  );
  return row?.files ?? '';
}
