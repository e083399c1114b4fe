/** How one direction of replication does: subscription and worker on the receiving side, slot on the sending one. */
import type { Primary } from '../../../spec/status.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';

const SUBSCRIPTION = statement(import.meta.url, '../sql/subscription.sql');

export interface SubscriptionView {
  enabled: boolean;
  workerPid: number | null;
  /** Applied transactions that failed so far; null before version 15, which doesn't count them. */
  applyErrors: number | null;
}

export interface SlotView {
  active: boolean;
  /** `lost`: the server removed WAL that the slot needed, so what it had can't be had any more. */
  walStatus: string | null;
  retainedBytes: number | null;
  confirmedLsn: string | null;
}

/** The subscription that receives what `from` sends; null when there is none. */
export async function subscriptionOf(receiver: Session, key: string, from: Primary): Promise<SubscriptionView | null> {
  const found = await receiver.row<{ oid: string; enabled: boolean; pid: number | null }>(SUBSCRIPTION, [
    scopeNames(key).slot(from),
  ]);
  if (found === undefined) return null;
  return { enabled: found.enabled, workerPid: found.pid, applyErrors: await applyErrorsOf(receiver, found.oid) };
}

async function applyErrorsOf(receiver: Session, oid: string): Promise<number | null> {
  const known = await receiver.row<{ known: boolean }>(
    `select to_regclass('pg_catalog.pg_stat_subscription_stats') is not null as known`,
  );
  if (!known?.known) return null;
  const row = await receiver.row<{ errors: string }>(
    'select apply_error_count as errors from pg_stat_subscription_stats where subid = $1::oid',
    [oid],
  );
  return row === undefined ? null : Number(row.errors);
}

/** The slot on the sending side; null when there is none. */
export async function slotOf(sender: Session, key: string, from: Primary): Promise<SlotView | null> {
  const row = await sender.row<{
    active: boolean;
    walStatus: string | null;
    retained: string | null;
    confirmed: string | null;
  }>(
    `select active, wal_status as "walStatus", confirmed_flush_lsn::text as confirmed,
            pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint as retained
     from pg_replication_slots where slot_name = $1`,
    [scopeNames(key).slot(from)],
  );
  if (row === undefined) return null;
  return {
    active: row.active,
    walStatus: row.walStatus,
    retainedBytes: row.retained === null ? null : Number(row.retained),
    confirmedLsn: row.confirmed,
  };
}

/**
 * In words, for people; empty: healthy. Errors are counted for ever, so they are a problem only while nothing arrives.
 */
export function problemsOf(
  subscription: SubscriptionView,
  slot: SlotView | null,
  sides: { sender: Primary; receiver: Primary; arriving: boolean },
): string[] {
  const problems: string[] = [];
  if (!subscription.enabled) problems.push(`the subscription on the ${sides.receiver} is disabled`);
  if (subscription.enabled && subscription.workerPid === null) {
    problems.push(`the apply worker on the ${sides.receiver} is not running: its server log says why`);
  }
  if (!sides.arriving && subscription.applyErrors !== null && subscription.applyErrors > 0) {
    problems.push(
      `applying changes on the ${sides.receiver} failed ${subscription.applyErrors} times so far: its server log says why`,
    );
  }
  if (slot === null) {
    problems.push(`the replication slot on the ${sides.sender} is gone: changes since then can't be had any more`);
  } else if (slot.walStatus === 'lost') {
    problems.push(`the replication slot on the ${sides.sender} is lost: max_slot_wal_keep_size removed WAL it needed`);
  } else if (!slot.active) {
    problems.push(`nobody reads the replication slot on the ${sides.sender}`);
  } else if (slot.walStatus === 'unreserved') {
    problems.push(`the replication slot on the ${sides.sender} is about to lose WAL to max_slot_wal_keep_size`);
  }
  return problems;
}

/** What no waiting mends: the changes in between are gone. */
export function isBroken(slot: SlotView | null): boolean {
  return slot === null || slot.walStatus === 'lost';
}
