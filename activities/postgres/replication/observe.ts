/** What both databases say of one scope, in one look; for status, watch and a migration brought back. */
import type { Milliseconds } from '../../../spec/normal.js';
import type { Primary } from '../../../spec/status.js';
import type { AuthorityView, DatabaseMove, Observation } from '../../contract.js';
import { failure } from '../../failure.js';
import { readAuthority } from '../authority.js';
import { awaitMarker, writeMarker } from '../marker.js';
import { scopeNames } from '../names.js';
import { Session } from '../session.js';
import { otherSide } from '../sides.js';
import { identifier } from '../statements.js';
import { problemsOf, slotOf, subscriptionOf } from './health.js';

/** A look must not hang on a lag of hours: longer, and the age of the last marker that arrived is told instead. */
const MARKER_TIMEOUT_MS = 2_000;

/**
 * Fails with `DatabaseUnreachable` if neither side answers; one that doesn't is a problem in the answer.
 */
export async function observe(move: DatabaseMove): Promise<Observation> {
  const options = { purpose: `${move.key} observe` };
  const [source, target] = await Promise.allSettled([
    Session.open('source', move.database.source, options),
    Session.open('target', move.database.target, options),
  ]);
  const sessions: Record<Primary, Session | null> = {
    source: source.status === 'fulfilled' ? source.value : null,
    target: target.status === 'fulfilled' ? target.value : null,
  };
  try {
    if (source.status === 'rejected' && target.status === 'rejected') throw source.reason;
    const problems = [source, target].flatMap((side) => (side.status === 'rejected' ? [messageOf(side.reason)] : []));
    return await look(move, sessions, problems);
  } finally {
    await Promise.all([sessions.source?.close(), sessions.target?.close()]);
  }
}

async function look(
  move: DatabaseMove,
  sessions: Record<Primary, Session | null>,
  problems: string[],
): Promise<Observation> {
  const authority = {
    source: await authorityOf(sessions.source, move.key),
    target: await authorityOf(sessions.target, move.key),
  };
  const primary = writerOf(authority);
  const replicating = await directionOf(sessions, move.key);
  const observation: Observation = { primary, authority, replicating, lagMs: null, retainedBytes: null, problems };
  if (replicating === null) return observation;

  const sender: Primary = replicating === 'forward' ? 'source' : 'target';
  const receiver = otherSide(sender);
  const from = sessions[sender];
  const to = sessions[receiver];
  const patience = to === null ? MARKER_TIMEOUT_MS : await patienceWith(to, move.key, sender);
  const lag = from !== null && to !== null ? await lagOf(from, to, move.key, patience) : { ms: null, arriving: false };
  // After the marker: by now an apply worker that was only starting is there.
  const subscription = to === null ? null : await subscriptionOf(to, move.key, sender);
  const slot = from === null ? null : await slotOf(from, move.key, sender);
  observation.retainedBytes = slot?.retainedBytes ?? null;
  observation.lagMs = lag.ms;
  if (subscription !== null && from !== null) {
    problems.push(...problemsOf(subscription, slot, { sender, receiver, arriving: lag.arriving }));
  }
  return observation;
}

async function authorityOf(session: Session | null, key: string): Promise<AuthorityView | null> {
  const row = session === null ? null : await readAuthority(session, key);
  return row === null ? null : { epoch: row.epoch, state: row.state };
}

/**
 * Where writes go, or will go once what has begun is completed. A source that has ceded and a target that is ready are past
 * the point of no return: the target, though it isn't open yet. The same with the ends exchanged.
 */
export function writerOf(authority: Observation['authority']): Primary | null {
  const rank = (side: Primary): number => {
    const view = authority[side];
    if (view === null || view.state === 'closed') return 0;
    return view.state === 'ready' ? 1 : 2;
  };
  if (rank('source') === 0 && rank('target') === 0) return null;
  return rank('source') >= rank('target') ? 'source' : 'target';
}

/** The direction whose subscription is there and enabled; one that is only prepared doesn't count. */
async function directionOf(
  sessions: Record<Primary, Session | null>,
  key: string,
): Promise<Observation['replicating']> {
  const forward = sessions.target === null ? null : await subscriptionOf(sessions.target, key, 'source');
  const back = sessions.source === null ? null : await subscriptionOf(sessions.source, key, 'target');
  if (forward?.enabled === true) return 'forward';
  if (back?.enabled === true) return 'back';
  if (forward !== null) return 'forward';
  return null;
}

/**
 * A worker that isn't there may be about to start: the launcher waits `wal_retrieve_retry_interval` (5 s) between two
 * starts, and a switch has just enabled its subscription.
 */
async function patienceWith(receiver: Session, key: string, sender: Primary): Promise<Milliseconds> {
  const subscription = await subscriptionOf(receiver, key, sender);
  if (subscription?.enabled !== true || subscription.workerPid !== null) return MARKER_TIMEOUT_MS;
  const interval = await receiver.row<{ ms: number }>(
    `select setting::int as ms from pg_settings where name = 'wal_retrieve_retry_interval'`,
  );
  return MARKER_TIMEOUT_MS + (interval?.ms ?? 0);
}

/** `arriving`: a marker came in time; else the age of the newest that ever came. */
async function lagOf(
  from: Session,
  to: Session,
  key: string,
  timeout: Milliseconds,
): Promise<{ ms: number | null; arriving: boolean }> {
  const table = `godwit.${identifier(scopeNames(key).marker)}`;
  const marker = await writeMarker(from, key);
  const took = await awaitMarker(to, key, marker.id, timeout);
  if (took !== null) return { ms: took, arriving: true };
  const newest = await to.row<{ at: string | null }>(`select max(written_at)::text as at from ${table}`);
  if (newest?.at == null) return { ms: null, arriving: false };
  // Both times are of the sending server's clock.
  const age = await from.row<{ ms: number }>(
    `select extract(epoch from clock_timestamp() - $1::timestamptz)::float8 * 1000 as ms`,
    [newest.at],
  );
  return { ms: age?.ms ?? null, arriving: false };
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return failure('Unexpected', 'a database did not answer').message;
}
