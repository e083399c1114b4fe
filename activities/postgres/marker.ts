/**
 * The marker: a row written on the primary after everything that must be there, and awaited on the other side. Commit
 * order makes its arrival the proof that all before it is applied; 3 ms, where waiting for `confirmed_flush_lsn` took 400.
 * One marker table a scope, in exactly one publication: a shared one vouched for a group that had applied nothing.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../spec/normal.js';
import { failure } from '../failure.js';
import { scopeNames } from './names.js';
import type { Session } from './session.js';
import { identifier, literal } from './statements.js';

/** A look costs 0.1 ms on a local server; closer looks buy nothing. */
const LOOK_EVERY_MS = 1;
/** Long waits look less often: the marker of a lagging copy isn't worth 1,000 looks a second. */
const LOOK_EVERY_AT_MOST_MS = 250;

export interface Marker {
  id: string;
  /** WAL position on the primary just after the marker's commit. */
  lsn: string;
}

const tableOf = (key: string): string => `godwit.${identifier(scopeNames(key).marker)}`;

/** Makes the table, if it isn't there. */
export const markerTable = (key: string): string =>
  `create table if not exists ${tableOf(key)} (id text primary key, written_at timestamptz not null)`;

/** A marker for a transaction of the caller's own. */
export function newMarker(key: string): { id: string; statement: string } {
  const id = randomUUID();
  return {
    id,
    statement: `insert into ${tableOf(key)} (id, written_at) values (${literal(id)}, clock_timestamp())`,
  };
}

/** Commits a marker on the primary; answers its id. */
export async function insertMarker(primary: Session, key: string): Promise<string> {
  const { id, statement } = newMarker(key);
  await primary.run(statement);
  return id;
}

/** Commits a marker on the primary, and says where. */
export async function writeMarker(primary: Session, key: string): Promise<Marker> {
  const id = await insertMarker(primary, key);
  const position = await primary.row<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  return { id, lsn: position?.lsn ?? '0/0' };
}

/** Whether the marker has arrived. */
export async function sawMarker(standby: Session, key: string, id: string): Promise<boolean> {
  const found = await standby.row(`select from ${tableOf(key)} where id = $1`, [id]);
  return found !== undefined;
}

/**
 * Waits for a marker on the other side. Answers the wait in milliseconds, or null if `timeout` passed without it.
 * Seen isn't durable: apply commits asynchronously. Before the source cedes, commit synchronously on the other side.
 */
export async function awaitMarker(
  standby: Session,
  key: string,
  id: string,
  timeout: Milliseconds,
  signal?: AbortSignal,
): Promise<Milliseconds | null> {
  const began = performance.now();
  let wait = LOOK_EVERY_MS;
  for (;;) {
    if (await sawMarker(standby, key, id)) return performance.now() - began;
    const waited = performance.now() - began;
    if (waited > timeout) return null;
    if (waited > 100) wait = Math.min(wait * 2, LOOK_EVERY_AT_MOST_MS);
    await sleep(wait, undefined, signal ? { signal } : {});
  }
}

/**
 * Writes a marker and waits for it: the lag of the scope, in milliseconds.
 * Fails with `ReplicationBroken` when it doesn't arrive in time.
 */
export async function passMarker(
  primary: Session,
  standby: Session,
  key: string,
  timeout: Milliseconds,
  signal?: AbortSignal,
): Promise<Marker & { tookMs: Milliseconds }> {
  await primary.run(`delete from ${tableOf(key)} where written_at < clock_timestamp() - interval '1 hour'`);
  const marker = await writeMarker(primary, key);
  const tookMs = await awaitMarker(standby, key, marker.id, timeout, signal);
  if (tookMs === null) {
    throw failure(
      'ReplicationBroken',
      `a marker written on the ${primary.side} did not arrive on the ${standby.side} within ${timeout} ms`,
      'Look at pg_stat_subscription and the server log of the receiving side: an apply error repeats there',
    );
  }
  return { ...marker, tookMs };
}
