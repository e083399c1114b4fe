/** Physical standbys of the side that cedes: one that is promoted must know of the cede, or there are two writers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '../activity-context.js';
import type { Session } from './session.js';

/** Standbys stream within a millisecond; a busy loop buys nothing. */
const LOOK_EVERY_MS = 2;

/** Waits until every connected physical standby has flushed all that this server has written. */
export async function standbysHaveFlushed(session: Session): Promise<void> {
  const position = await session.row<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  for (;;) {
    // A logical walsender is connected to a database; a physical one to none.
    const behind = await session.row(
      `select from pg_stat_replication r join pg_stat_activity a using (pid)
       where a.datid is null and r.state = 'streaming' and (r.flush_lsn is null or r.flush_lsn < $1::pg_lsn) limit 1`,
      [position?.lsn ?? '0/0'],
    );
    if (behind === undefined) return;
    heartbeat();
    await sleep(LOOK_EVERY_MS);
  }
}
