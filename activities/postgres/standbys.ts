/** Physical standbys of the side that cedes: one that is promoted must know of the cede, or there are two writers. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NormalDatabase } from '../../spec/normal.js';
import type { Progress } from '../../spec/status.js';
import type { DatabaseMove } from '../contract.js';
import { counting, heartbeat } from '../activity-context.js';
import { failure } from '../failure.js';
import type { Session } from './session.js';
import { statement } from './statements.js';

const STANDBYS = statement(import.meta.url, './sql/standbys.sql');

/** Standbys stream within a millisecond; a busy loop buys nothing. */
const LOOK_EVERY_MS = 2;
/** Then the workflow is told whom it waits for, and the next attempt goes on with what an operator has said meanwhile. */
const PATIENCE_MS = 5_000;

export interface Standby {
  /** Its application_name; of one that is away, its slot. */
  name: string;
  slot: string | null;
  host: string;
  streaming: boolean;
  flushLsn: string | null;
}

/** All that may be promoted, but for those that an operator said are out. */
export async function standbysOf(session: Session, { cutover }: NormalDatabase): Promise<Standby[]> {
  const out = new Set(cutover.standbys?.ignore ?? []);
  const known = await session.rows<Standby & Record<string, unknown>>(STANDBYS);
  return known.filter(({ name, slot }) => !out.has(name) && !(slot !== null && out.has(slot)));
}

/**
 * While nobody waits yet: a standby that is away would hold the switch after its point of no return, with both sides closed.
 * Fails with `Blocked`, naming it.
 */
export async function requireStandbys(session: Session, database: NormalDatabase): Promise<void> {
  const away = (await standbysOf(session, database)).filter(({ streaming }) => !streaming);
  if (away.length === 0) return;
  const names = away.map(({ name }) => name);
  throw failure(
    'Blocked',
    `standbys of the ${session.side} are away: ${names.join(', ')}. One that is promoted later would not know of the switch, and take writes`,
    `Let them stream again, or drop their slots; or say that they are never promoted: set databases.${database.name}.cutover.standbys.ignore=${names.join(',')}`,
  );
}

/**
 * Waits until every standby has flushed all that this server has written. Fails with `StandbyBehind`, naming them, after a few
 * seconds: nothing is undone, and whoever calls again goes on waiting.
 */
export async function standbysHaveFlushed(session: Session, move: DatabaseMove): Promise<void> {
  const began = performance.now();
  const [written] = await session.rows<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  for (;;) {
    const behind = await behindOf(session, move.database, written?.lsn ?? '0/0');
    if (behind.length === 0) return;
    const names = behind.map(({ name, host }) => `${name} (${host})`).join(', ');
    heartbeat(progressOf(move, `waits for standbys of the ${session.side}: ${names}`));
    if (performance.now() - began > PATIENCE_MS) {
      throw failure(
        'StandbyBehind',
        `the ${session.side} has ceded, and its standbys have not all heard of it: ${names}. Nobody takes writes until they have`,
        `Let them stream again; or stop them, never promote them, and say so: set databases.${move.database.name}.cutover.standbys.ignore=${behind.map(({ name }) => name).join(',')}`,
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
}

async function behindOf(session: Session, database: NormalDatabase, lsn: string): Promise<Standby[]> {
  const standbys = (await standbysOf(session, database)).filter(
    // One that left before the cede was named then, and one that leaves now is not waited for: its slot is.
    ({ streaming, slot }) => streaming || slot !== null,
  );
  if (standbys.length === 0) return [];
  const positions = standbys.map(({ flushLsn }) => flushLsn);
  const behind = await session.rows<{ n: number }>(
    `select n::int from unnest($1::pg_lsn[]) with ordinality as f(lsn, n) where f.lsn is null or f.lsn < $2::pg_lsn`,
    [positions, lsn],
  );
  return behind.flatMap(({ n }) => standbys[n - 1] ?? []);
}

function progressOf(move: DatabaseMove, detail: string): Progress {
  return counting({
    unit: move.database.unit,
    phase: 'cutover',
    what: 'tables',
    done: 0,
    total: 1,
    detail,
  });
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
