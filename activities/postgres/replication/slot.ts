/** Replication slots by name: dropped even while a dead worker's walsender still holds them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../../failure.js';
import type { Session } from '../session.js';

/** A walsender whose client died notices within `wal_sender_timeout`; we end it instead of waiting 60 s. */
const RELEASE_TIMEOUT_MS = 10_000;

/**
 * Creates a logical slot (pgoutput, no two-phase), if it isn't there. Waits for every transaction that is open in the
 * whole cluster, so never while clients wait.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
 */
export async function ensureSlot(session: Session, name: string): Promise<void> {
  const found = await session.row('select from pg_replication_slots where slot_name = $1', [name]);
  if (found !== undefined) return;
  const more = (await followsFailover(session)) ? `, failover => true` : '';
  await session.rows(`select pg_create_logical_replication_slot($1, 'pgoutput'${more})`, [name]);
}

/**
 * Whether this server's standbys keep logical slots in step (17 and newer): `synchronized_standby_slots` is what keeps a
 * subscriber from having more than the standby that is promoted. Without it a slot that survives a failover would lie.
 * https://www.postgresql.org/docs/current/logical-replication-failover.html
 */
export async function followsFailover(session: Session): Promise<boolean> {
  const row = await session.row<{ so: boolean }>(
    `select coalesce(current_setting('synchronized_standby_slots', true), '') <> '' as so`,
  );
  return row?.so === true;
}

/** Drops the slot, if it is there. Whoever streams from it is ended. */
export async function dropSlot(session: Session, name: string): Promise<void> {
  const deadline = Date.now() + RELEASE_TIMEOUT_MS;
  for (;;) {
    const slot = await session.row<{ active_pid: number | null }>(
      'select active_pid from pg_replication_slots where slot_name = $1',
      [name],
    );
    if (slot === undefined) return;
    if (slot.active_pid === null) {
      await session.rows(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and active_pid is null`,
        [name],
      );
      continue;
    }
    if (Date.now() > deadline) {
      throw failure(
        'Blocked',
        `replication slot ${name} on the ${session.side} is still held by process ${slot.active_pid}`,
      );
    }
    await session.rows('select pg_terminate_backend($1)', [slot.active_pid]);
    await sleep(5);
  }
}
