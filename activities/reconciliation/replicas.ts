/**
 * Physical standbys that rows are read from in bulk. One that lags shows rows as they were: what was lost on the other side since then
 * would look equal. So each must have replayed what is compared before the first row is read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../spec/normal.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { Session } from '../postgres/session.js';
import type { Sides } from '../postgres/sides.js';
import { serverOf } from '../postgres/validation/server.js';

const LOOK_EVERY_MS = 100;

interface Replay extends Record<string, unknown> {
  recovers: boolean;
  there: boolean;
  at: string | null;
  paused: boolean;
  /** recovery_min_apply_delay */
  delay: Milliseconds;
}

/**
 * Waits until the replicas have replayed all that their servers have written at the call. Fails with `InvalidSpec` for a replica that
 * is none of that server, and with `ReplicationBroken` where it takes longer than `timeout`, or will.
 */
export async function replicasCaughtUp(
  normal: NormalReconciliation,
  sides: Sides,
  timeout: Milliseconds,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    (['source', 'target'] as const).map((side) => replicaCaughtUp(normal, sides.of(side), side, timeout, signal)),
  );
}

async function replicaCaughtUp(
  normal: NormalReconciliation,
  server: Session,
  side: Primary,
  timeout: Milliseconds,
  signal: AbortSignal,
): Promise<void> {
  const url = normal[side].replica;
  if (url === null) return;
  await using replica = await Session.open(`${side}.replica`, url, { purpose: `${normal.name} replica` });
  const [own, other] = [await serverOf(server), await serverOf(replica)];
  const written = await server.row<{ lsn: string }>(
    `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn`,
  );
  const lsn = written?.lsn ?? '0/0';
  const deadline = Date.now() + timeout;
  for (;;) {
    signal.throwIfAborted();
    const replay = await replica.row<Replay>(
      `select pg_is_in_recovery() as recovers, coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) as there,
              pg_last_wal_replay_lsn()::text as at, pg_is_in_recovery() and pg_is_wal_replay_paused() as paused,
              (select setting::float8 from pg_settings where name = 'recovery_min_apply_delay') as delay`,
      [lsn],
    );
    if (own.identity.systemIdentifier !== other.identity.systemIdentifier || replay?.recovers !== true) {
      throw failure(
        'InvalidSpec',
        `${side}.replica is no physical standby of ${side}.url`,
        `Name one that is, or take ${side}.replica out: rows are read from ${side}.url then`,
      );
    }
    if (replay.there) return;
    const why = replay.paused
      ? 'its replay is paused'
      : replay.delay > timeout
        ? `recovery_min_apply_delay keeps it ${replay.delay / 1_000} s behind`
        : Date.now() > deadline
          ? `it did not get there within ${timeout / 1_000} s`
          : null;
    if (why !== null) {
      throw failure(
        'ReplicationBroken',
        `${side}.replica has replayed up to ${replay.at ?? 'nothing'}, and what is compared ends at ${lsn}: ${why}`,
        `Older rows would look equal that aren't. Compare once it has caught up, or take ${side}.replica out to read from ${side}.url`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}
