/** Who stands in the way of a table lock, for the person who must decide what to do about them. */
import type { ScopeTable } from './scope.js';
import type { Session } from './session.js';
import { statement } from './statements.js';

const BLOCKERS = statement(import.meta.url, './sql/blockers.sql');
const CANCEL_AUTOVACUUM = statement(import.meta.url, './sql/cancel_autovacuum.sql');

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

/** At most ten, the oldest first, in words: process, user, application, age; prepared transactions by their name. */
export async function blockersOf(session: Session, tables: ScopeTable[]): Promise<string[]> {
  const found = await session.rows<Blocker & Record<string, unknown>>(BLOCKERS, [JSON.stringify(tables)]);
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
  await session.rows(CANCEL_AUTOVACUUM, [JSON.stringify(tables)]);
}
