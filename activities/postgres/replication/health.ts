/** How one direction of replication does: subscription and worker on the receiving side, slot on the sending one. */
import type { NormalLookout } from '../../../spec/normal.js';
import { formatSize } from '../../../spec/size.js';
import type { Primary } from '../../../spec/status.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';
import { applyErrorOf } from './apply-error.js';

const SUBSCRIPTION = statement(import.meta.url, '../sql/subscription.sql');

export interface SubscriptionView {
  enabled: boolean;
  workerPid: number | null;
  /** What the worker has received, also in the middle of a long transaction. */
  receivedLsn: string | null;
  /** Applied transactions that failed so far; null before version 15, which doesn't count them. */
  applyErrors: number | null;
  /** What stops the apply, as far as SQL tells it. */
  applyError: string | null;
}

export interface SlotView {
  active: boolean;
  /** `lost`: the server removed WAL that the slot needed, so what it had can't be had any more. */
  walStatus: string | null;
  retainedBytes: number | null;
  confirmedLsn: string | null;
  /** What `max_slot_wal_keep_size` allows; null: the server has no limit. */
  keepBytes: number | null;
}

/** The subscription that receives what `from` sends; null when there is none. */
export async function subscriptionOf(receiver: Session, key: string, from: Primary): Promise<SubscriptionView | null> {
  const found = await receiver.row<{ oid: string; enabled: boolean; pid: number | null; receivedLsn: string | null }>(
    SUBSCRIPTION,
    [scopeNames(key).slot(from)],
  );
  if (found === undefined) return null;
  const applyErrors = await applyErrorsOf(receiver, found.oid);
  return {
    enabled: found.enabled,
    workerPid: found.pid,
    receivedLsn: found.receivedLsn,
    applyErrors,
    applyError: applyErrors === null || applyErrors > 0 ? await applyErrorOf(receiver, found.oid) : null,
  };
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
    keep: string | null;
  }>(
    `select active, wal_status as "walStatus", confirmed_flush_lsn::text as confirmed,
            case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end as retained,
            (select setting::bigint * 1024 * 1024 from pg_settings
             where name = 'max_slot_wal_keep_size' and setting <> '-1') as keep
     from pg_replication_slots where slot_name = $1`,
    [scopeNames(key).slot(from)],
  );
  if (row === undefined) return null;
  return {
    active: row.active,
    walStatus: row.walStatus,
    retainedBytes: row.retained === null ? null : Number(row.retained),
    confirmedLsn: row.confirmed,
    keepBytes: row.keep === null ? null : Number(row.keep),
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
  const { enabled, workerPid, applyErrors, applyError } = subscription;
  if (!enabled) problems.push(`the subscription on the ${sides.receiver} is disabled`);
  if (enabled && workerPid === null) {
    problems.push(`the apply worker on the ${sides.receiver} is not running: its server log says why`);
  }
  if (!sides.arriving && applyErrors !== null && applyErrors > 0) {
    const why = applyError ?? 'its server log says why';
    problems.push(`applying changes on the ${sides.receiver} failed ${applyErrors} times so far: ${why}`);
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

/** Where a limit begins to be near. */
const NEAR = 0.7;

export interface WalView {
  /** Near a limit: in words. */
  warning: string | null;
  /** Past the limit of the specification: in words. */
  overLimit: string | null;
}

/** The free disk of a server can't be seen by SQL, so what the slot holds back is what counts. */
export function walOf(slot: SlotView | null, side: Primary, { maxRetainedWal }: NormalLookout): WalView {
  const retained = slot?.retainedBytes ?? 0;
  const holds = `the replication slot on the ${side} holds back ${inMiB(retained)} of WAL`;
  if (maxRetainedWal !== null && retained >= maxRetainedWal) {
    return { warning: null, overLimit: `${holds}; lookout.maxRetainedWal allows ${formatSize(maxRetainedWal)}` };
  }
  const keep = slot?.keepBytes ?? null;
  const near = (limit: number | null): limit is number => limit !== null && retained >= limit * NEAR;
  const limits = [
    ...(near(maxRetainedWal) ? [`lookout.maxRetainedWal allows ${formatSize(maxRetainedWal)}`] : []),
    ...(near(keep) ? [`past max_slot_wal_keep_size (${inMiB(keep)}) the server ends the slot for good`] : []),
  ];
  return { warning: limits.length === 0 ? null : `${holds}; ${limits.join('; ')}`, overLimit: null };
}

const inMiB = (bytes: number): string => `${Math.round(bytes / 2 ** 20)}MiB`;
