/** Physical standbys of the side that cedes: one that is promoted must know of the cede, or there are two writers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '../activity-context.js';
import { failure } from '../failure.js';
import type { Session } from './session.js';

/** Standbys stream within a millisecond; a busy loop buys nothing. */
const LOOK_EVERY_MS = 2;

/** Waits until every connected physical standby has flushed all that this server has written. */
export async function standbysHaveFlushed(session: Session): Promise<void> {
  let upTo: string | null = null;
  for (;;) {
    // A logical walsender is connected to a database; a physical one to none.
    const seen: { lsn: string; behind: boolean } | undefined = await session.row(
      `select w.lsn::text as lsn, exists (
         select from pg_stat_replication r join pg_stat_activity a using (pid)
         where a.datid is null
           -- Without pg_read_all_stats everything but the process is hidden: one that can't be seen isn't there yet.
           and (r.state is null or (r.state = 'streaming' and (r.flush_lsn is null or r.flush_lsn < w.lsn)))) as behind
       from (select coalesce($1::pg_lsn, pg_current_wal_flush_lsn()) as lsn) w`,
      [upTo],
    );
    if (seen?.behind === false) return;
    upTo ??= seen?.lsn ?? null;
    heartbeat();
    await sleep(LOOK_EVERY_MS);
  }
}

/**
 * Before anything is switched: what this role can't see, it couldn't wait for after the cede.
 * Fails with `PermissionDenied`.
 */
export async function requireStandbysSeen(session: Session): Promise<void> {
  const hidden = await session.row(
    `select from pg_stat_replication r join pg_stat_activity a using (pid) where a.datid is null and r.state is null limit 1`,
  );
  if (hidden === undefined) return;
  throw failure(
    'PermissionDenied',
    `standbys stream from the ${session.side}, and this role can't see how far they are`,
    'GRANT pg_read_all_stats TO it, as "godwit plan --grants" prints; nothing was switched',
  );
}
