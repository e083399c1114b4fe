/** Who stands in the way of a table lock, for the person who must decide what to do about them. */
import { sqlState } from './errors.js';
import type { ScopeTable } from './scope.js';
import type { Session } from './session.js';
import { qualified, statement, type TableName } from './statements.js';

const BLOCKERS = statement(import.meta.url, './sql/blockers.sql');
const AUTOVACUUM_WORKERS = statement(import.meta.url, './sql/autovacuum_workers.sql');

/** Autovacuum runs as the superuser: others may not signal it, and wait for it as everybody does. */
const INSUFFICIENT_PRIVILEGE = '42501';

/** Above `deadlock_timeout` (1 s). */
const YIELDS_WITHIN = '1500ms';

interface Blocker {
  what: string;
  pid: number | null;
  user: string | null;
  application: string | null;
  address: string | null;
  state: string | null;
  ageSeconds: number | null;
  gid: string | null;
}

/**
 * At most ten, the oldest first, in words: process, user, application, age; prepared transactions by their name.
 * @param readers whether those are in the way, too: of TRUNCATE they are
 */
export async function blockersOf(session: Session, tables: ScopeTable[], readers = false): Promise<string[]> {
  const found = await session.rows<Blocker & Record<string, unknown>>(BLOCKERS, [JSON.stringify(tables), readers]);
  return found.map((blocker) => {
    if (blocker.pid === null)
      return `prepared transaction ${blocker.gid ?? 'of unknown name'} (COMMIT PREPARED or ROLLBACK PREPARED it)`;
    const who = [blocker.user, blocker.application, blocker.address]
      .filter((part) => part !== null && part !== '')
      .join(', ');
    return `${blocker.what} ${blocker.pid} (${who}), ${blocker.state ?? 'working'}, transaction open for ${blocker.ageSeconds ?? 0} s`;
  });
}

/**
 * Autovacuum, analyzing or vacuuming, yields a table lock only after `deadlock_timeout` (1 s); cancelled first, the lock
 * comes within 1 ms. One that prevents wraparound is not ours to cancel: it shows among the blockers.
 */
export async function cancelAutovacuum(session: Session, tables: ScopeTable[]): Promise<void> {
  await signalAutovacuum(session, tables, 'pg_cancel_backend');
}

/**
 * For a lock on all the tables at once: a worker that is cancelled goes on with the next table, and was in the way again at
 * each of ten tries (400 ms of a pause). It comes back after `autovacuum_naptime`.
 */
export async function endAutovacuum(session: Session, tables: ScopeTable[]): Promise<void> {
  await signalAutovacuum(session, tables, 'pg_terminate_backend');
}

/**
 * The same while nobody waits yet, and also where the role may not signal autovacuum: it yields to whoever has waited for
 * `deadlock_timeout`, and SHARE UPDATE EXCLUSIVE waits for it alone, never for a writer, and holds none up.
 */
export async function outwaitAutovacuum(session: Session, tables: ScopeTable[]): Promise<void> {
  if ((await signalAutovacuum(session, tables, 'pg_terminate_backend')) && (await maySeeWorkers(session))) return;
  const busy = await session.rows<TableName & Record<string, unknown>>(
    `select distinct t.schema, t.name
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_catalog.pg_namespace n on n.nspname = t.schema
     join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
     join pg_catalog.pg_locks l on l.relation = c.oid and l.granted and l.mode = 'ShareUpdateExclusiveLock'
     where l.database = (select oid from pg_catalog.pg_database where datname = current_database())`,
    [JSON.stringify(tables)],
  );
  for (const table of busy) {
    try {
      await session.transact([
        `set local lock_timeout = '${YIELDS_WITHIN}'`,
        `lock table only ${qualified(table)} in share update exclusive mode`,
      ]);
    } catch (error) {
      // Somebody's VACUUM, ANALYZE or CREATE INDEX CONCURRENTLY: the fence's own locks will name them.
      if (sqlState(error) !== '55P03' && sqlState(error) !== '40P01') throw error;
    }
  }
}

/** Answers whether the role may. */
async function signalAutovacuum(
  session: Session,
  tables: ScopeTable[],
  signal: 'pg_cancel_backend' | 'pg_terminate_backend',
): Promise<boolean> {
  try {
    await session.rows(`select ${signal}(w.pid) from (${AUTOVACUUM_WORKERS}) w`, [JSON.stringify(tables)]);
    return true;
  } catch (error) {
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    return false;
  }
}

/** Without pg_read_all_stats no backend says what it is, so none was found. */
async function maySeeWorkers(session: Session): Promise<boolean> {
  const row = await session.row<{ sees: boolean }>(`select pg_has_role('pg_read_all_stats', 'usage') as sees`);
  return row?.sees ?? false;
}
