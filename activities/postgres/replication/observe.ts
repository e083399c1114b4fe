/** What both databases say of one scope, in one look; for status, watch and a migration brought back. */
import { lookoutOf, type Milliseconds } from '../../../spec/normal.js';
import type { Primary } from '../../../spec/status.js';
import { bypassing } from '../../bypass.js';
import type { AuthorityView, DatabaseMove, Observation } from '../../contract.js';
import { failure } from '../../failure.js';
import { identityOf, readAuthority, strangerIn, type AuthorityRow } from '../authority.js';
import { awaitMarker, writeMarker } from '../marker.js';
import { scopeNames } from '../names.js';
import { Session } from '../session.js';
import { otherSide } from '../sides.js';
import { identifier, statement } from '../statements.js';
import { driftOf } from './drift.js';
import { isBroken, problemsOf, slotOf, subscriptionOf, walOf, type SlotView } from './health.js';

const PROGRESS = statement(import.meta.url, '../sql/progress.sql');
const WAITING = statement(import.meta.url, '../sql/waiting.sql');
const HELD_UP = statement(import.meta.url, '../sql/held_up.sql');

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
  const { key } = move;
  const rows = { source: await rowOf(sessions.source, key), target: await rowOf(sessions.target, key) };
  const authority = { source: viewOf(rows.source), target: viewOf(rows.target) };
  const primary = writerOf(authority);
  const replicating = await directionOf(sessions, key);
  const observation: Observation = {
    primary,
    authority,
    replicating,
    lagMs: null,
    retainedBytes: null,
    problems,
    warnings: [],
    stranger: await strangerOf(sessions, rows),
    drift: await driftOf(sessions, rows, key),
    lost: null,
    overLimit: null,
    progress: '',
    waiting: [],
    bypassing: [],
  };
  if (authority.source?.state === 'open' && authority.target?.state === 'open') problems.unshift(TWO_WRITERS);
  if (primary === null) return observation;

  const sender: Primary = replicating === null ? primary : replicating === 'forward' ? 'source' : 'target';
  const receiver = otherSide(sender);
  const from = sessions[sender];
  const to = sessions[receiver];
  const slot = from === null ? null : await slotOf(from, key, sender);
  const { warning, overLimit } = walOf(slot, sender, lookoutOf(move.database));
  observation.retainedBytes = slot?.retainedBytes ?? null;
  observation.overLimit = overLimit;
  observation.warnings = [...(warning === null ? [] : [warning]), ...(await linesOf(from, HELD_UP, key))];
  observation.waiting = [...(await linesOf(from, WAITING, key)), ...(await linesOf(to, WAITING, key))];
  if (replicating === null) {
    observation.progress = await progressOf(to, key);
    if (isLost(slot)) observation.lost = lostSlot(sender);
    return observation;
  }

  if (from !== null && primary === 'source') {
    const { clients, unknown } = await bypassing(from, move);
    observation.bypassing = clients;
    if (unknown !== null) observation.warnings.push(`who connects past the pooler can't be told: ${unknown}`);
  }
  const patience = to === null ? MARKER_TIMEOUT_MS : await patienceWith(to, key, sender);
  const lag = from !== null && to !== null ? await lagOf(from, to, key, patience) : { ms: null, arriving: false };
  // After the marker: by now an apply worker that was only starting is there, and reads the slot.
  const subscription = to === null ? null : await subscriptionOf(to, key, sender);
  const slotNow = from === null ? null : await slotOf(from, key, sender);
  observation.lagMs = lag.ms;
  observation.progress = `${slotNow?.confirmedLsn ?? ''} ${subscription?.receivedLsn ?? ''} ${lag.arriving ? new Date().toISOString() : ''}`;
  if (from !== null && subscription !== null) {
    if (isBroken(slotNow)) observation.lost = lostSlot(sender);
    problems.push(...problemsOf(subscription, slotNow, { sender, receiver, arriving: lag.arriving }));
  }
  return observation;
}

const TWO_WRITERS =
  'both sides take writes: a server was promoted or restored that knew nothing of the switch. Stop its clients now, and ' +
  'decide which side holds the truth';

const lostSlot = (side: Primary): string =>
  `the replication slot on the ${side} is lost or gone, and with it the changes that had not been applied`;

const isLost = (slot: SlotView | null): boolean => slot?.walStatus === 'lost';

async function rowOf(session: Session | null, key: string): Promise<AuthorityRow | null> {
  return session === null ? null : readAuthority(session, key);
}

const viewOf = (row: AuthorityRow | null): AuthorityView | null =>
  row === null ? null : { epoch: row.epoch, state: row.state };

async function strangerOf(
  sessions: Record<Primary, Session | null>,
  rows: Record<Primary, AuthorityRow | null>,
): Promise<string | null> {
  const found: string[] = [];
  for (const side of ['source', 'target'] as const) {
    const session = sessions[side];
    const row = rows[side];
    if (session === null || row === null) continue;
    const identity = await identityOf(session);
    const stranger = strangerIn(side, row, identity);
    if (identity.standby) found.push(`the ${side} is a standby (in recovery), expected a primary`);
    else if (stranger !== null) found.push(stranger);
  }
  return found.length === 0 ? null : found.join('; ');
}

async function linesOf(session: Session | null, sql: string, key: string): Promise<string[]> {
  if (session === null) return [];
  return (await session.rows<{ line: string }>(sql, [key])).map(({ line }) => line);
}

async function progressOf(to: Session | null, key: string): Promise<string> {
  if (to === null) return '';
  return (await to.row<{ progress: string }>(PROGRESS, [key]))?.progress ?? '';
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

/** `arriving`: a marker came in time; else how long ago the oldest was written that has not come yet. */
async function lagOf(
  from: Session,
  to: Session,
  key: string,
  timeout: Milliseconds,
): Promise<{ ms: number | null; arriving: boolean }> {
  const table = `godwit.${identifier(scopeNames(key).marker)}`;
  if ((await identityOf(from)).standby) return { ms: null, arriving: false };
  const marker = await writeMarker(from, key);
  const took = await awaitMarker(to, key, marker.id, timeout);
  if (took !== null) {
    await from.run(`delete from ${table} where written_at < clock_timestamp() - interval '1 day'`);
    return { ms: took, arriving: true };
  }
  const newest = await to.row<{ at: string | null }>(`select max(written_at)::text as at from ${table}`);
  // All of these times are of the sending server's clock.
  const age = await from.row<{ ms: number | null }>(
    `select extract(epoch from clock_timestamp() - min(written_at))::float8 * 1000 as ms
     from ${table} where $1::timestamptz is null or written_at > $1::timestamptz`,
    [newest?.at ?? null],
  );
  return { ms: age?.ms ?? null, arriving: false };
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return failure('Unexpected', 'a database did not answer').message;
}
