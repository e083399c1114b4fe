/** One slot and the snapshot that belongs to it: what the copy reads is exactly what the slot doesn't send. */
import { failure } from '../../failure.js';
import { scopeNames } from '../names.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { identifier, literal, qualified } from '../statements.js';
import { dropSlot, followsFailover } from '../replication/slot.js';
import type { SyncRun } from './sessions.js';

/** Somebody who rewrites tables all the time must be told, not raced. */
const ATTEMPTS = 5;

export interface SlotSnapshot {
  /** The slot's consistent point. */
  lsn: string;
  /** Sessions that read the snapshot, each in a transaction of its own. */
  readers: Session[];
  /** Ends their transactions, and gives the tables' locks back. */
  release(): Promise<void>;
}

/**
 * Creates the slot with an exported snapshot and opens `readers` sessions in it, with ACCESS SHARE on all tables. Waits for
 * the transactions that are open in the source's cluster. A table rewritten between slot and lock (VACUUM FULL, ALTER
 * COLUMN TYPE, TRUNCATE) looks empty or half-empty to the snapshot, so then all starts again.
 */
export async function takeSnapshot(
  run: SyncRun,
  control: Session,
  tables: ScopeTable[],
  readers: number,
): Promise<SlotSnapshot> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const before = await filesOf(control, tables);
    const taken = await trySnapshot(run, tables, readers);
    const after = await filesOf(control, tables);
    if (before === after) return taken;
    await taken.release();
    await dropSlot(control, scopeNames(run.key).slot('source'));
  }
  throw failure(
    'Blocked',
    `tables of the source were rewritten ${ATTEMPTS} times while their copy began`,
    'Let VACUUM FULL, CLUSTER, TRUNCATE or ALTER TABLE finish, then retry',
  );
}

async function trySnapshot(run: SyncRun, tables: ScopeTable[], readers: number): Promise<SlotSnapshot> {
  const opened: Session[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(opened.map((session) => session.close()));
  };
  const sender = await run.open('source', 'slot', true);
  try {
    const slot = await sender.row<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${identifier(scopeNames(run.key).slot('source'))} LOGICAL pgoutput ${await slotOptions(sender)}`,
    );
    if (slot === undefined) throw failure('Unexpected', 'the source did not answer CREATE_REPLICATION_SLOT');
    for (let i = 0; i < Math.max(readers, 1); i += 1) {
      const session = await run.open('source', `read ${i + 1}`);
      opened.push(session);
      await session.run('begin isolation level repeatable read read only');
      await session.run(`set transaction snapshot ${literal(slot.snapshot_name)}`);
    }
    const list = tables.map((table) => `only ${qualified(table)}`).join(', ');
    await opened[0]?.run(`lock table ${list} in access share mode`);
    return { lsn: slot.consistent_point, readers: opened, release };
  } catch (error) {
    await release();
    throw error;
  } finally {
    // The snapshot is exported until the next command on this connection; from here on its readers hold it.
    await sender.close();
  }
}

async function slotOptions(sender: Session): Promise<string> {
  return (await followsFailover(sender)) ? `(SNAPSHOT 'export', FAILOVER true)` : 'EXPORT_SNAPSHOT';
}

/** Table and file of each, as they are committed now; one that changes was rewritten, truncated or made anew. */
async function filesOf(session: Session, tables: ScopeTable[]): Promise<string> {
  const row = await session.row<{ files: string | null }>(
    `select string_agg(format('%s:%s', c.oid, c.relfilenode), ',' order by c.oid) as files
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name`,
    [JSON.stringify(tables)],
  );
  return row?.files ?? '';
}
