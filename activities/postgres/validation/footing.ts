/** What a comparison stands on: which side takes the writes, and that the other follows it. A switch takes that away. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { primaryOf, readAuthority } from '../authority.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { bothSides, type Sides } from '../sides.js';
import { backendOf, cancelledBy } from './cancel.js';

/** Longest wait for a marker: the standby may be busy with one large transaction. */
export const MARKER_TIMEOUT_MS = 120_000;

export interface Footing {
  primary: Primary;
  epoch: number;
}

/** Fails with `AuthorityLost` where the scope isn't held, `Blocked` while a switch is under way. */
export async function footingOf(sides: Sides, move: DatabaseMove): Promise<Footing> {
  const [source, target] = await Promise.all([
    readAuthority(sides.source, move.key),
    readAuthority(sides.target, move.key),
  ]);
  if (source === null || target === null) {
    throw failure(
      'AuthorityLost',
      `the ${source === null ? 'source' : 'target'} holds no tables of this migration`,
      'Validation compares what replicationSetup took; run that first',
    );
  }
  const primary = primaryOf(source, target);
  if (primary === null) {
    throw failure(
      'Blocked',
      `a switch is under way (source ${source.state}, target ${target.state})`,
      'Nothing was compared; validation can start again once it is over',
    );
  }
  return { primary, epoch: Math.max(source.epoch, target.epoch) };
}

/** What was compared across a switch is worth nothing: `Blocked`. */
export async function requireFooting(sides: Sides, move: DatabaseMove, footing: Footing): Promise<void> {
  const now = await footingOf(sides, move);
  if (now.primary === footing.primary && now.epoch === footing.epoch) return;
  throw failure(
    'Blocked',
    'the writes moved to the other side during validation',
    'Nothing was certified; it starts again',
  );
}

/** Fails with `ReplicationBroken`. */
export async function requireSubscription(standby: Session, key: string, from: Primary): Promise<void> {
  const name = scopeNames(key).slot(from);
  const found = await standby.row<{ enabled: boolean }>(
    `select subenabled as enabled from pg_subscription
     where subname = $1 and subdbid = (select oid from pg_database where datname = current_database())`,
    [name],
  );
  if (found?.enabled) return;
  throw failure(
    'ReplicationBroken',
    `subscription ${name} on the ${standby.side} ${found === undefined ? 'does not exist' : 'is disabled'}`,
    'Two sides can only be compared while one follows the other; writes are not affected',
  );
}

/** `work` on both sides and this footing, ended by `signal` at once. */
export async function onFooting<T>(
  move: DatabaseMove,
  purpose: string,
  signal: AbortSignal,
  work: (sides: Sides, footing: Footing) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  await using sides = await bothSides(move, purpose);
  const backends = await Promise.all([backendOf(sides.source, 'source'), backendOf(sides.target, 'target')]);
  return await cancelledBy(signal, move, backends, async () => {
    const footing = await footingOf(sides, move);
    try {
      return await work(sides, footing);
    } catch (error) {
      signal.throwIfAborted();
      // a switch in the middle stops markers, and isn't broken replication
      await requireFooting(sides, move, footing);
      throw error;
    }
  });
}
