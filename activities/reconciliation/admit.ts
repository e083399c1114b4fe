/** Repairs meet the fence of a migration like everybody else; on a target that only replication may write to they are let in. */
import { failure } from '../failure.js';
import { admitCopy } from '../postgres/fence.js';
import type { Session } from '../postgres/session.js';

/**
 * Lets the session write into tables that a migration has closed on its target. Without a migration nothing is to be done. The
 * old source of a migration that has switched stays closed: its writes flow from the other side.
 */
export async function admitRepair(session: Session): Promise<void> {
  const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.authority') is not null as known`);
  if (!known?.known) return;
  const closed = await session.rows<{ scope: string; side: string }>(
    `select scope, side from godwit.authority where state = 'closed' order by 1`,
  );
  const [only, ...more] = closed.filter(({ side }) => side === 'target');
  if (only === undefined) return;
  if (more.length > 0) {
    throw failure(
      'Blocked',
      `${closed.length} migrations keep tables of the ${session.side} closed`,
      'Repair once all but one of them have switched or were undone',
    );
  }
  const token = await admitCopy(session, only.scope);
  await session.rows(`select set_config('godwit.token', $1, false)`, [token]);
}
