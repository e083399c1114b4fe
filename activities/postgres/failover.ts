/**
 * A server that failed over: its system identifier is the same, its timeline a later one. What a promoted standby lacks of
 * what its primary had acknowledged, nobody can bring back; what the other side of the migration makes of it is decided here.
 */
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove, FailoverAccepted } from '../contract.js';
import { failure } from '../failure.js';
import { Attempt, identityOf, readAuthority, strangerIn, type AuthorityRow, type Identity } from './authority.js';
import { publisherOf } from './connection.js';
import { settleWith } from './cutover.js';
import { scopeNames } from './names.js';
import { isBroken, slotOf } from './replication/health.js';
import { dropSlot } from './replication/slot.js';
import { dropSubscription, followPublisher } from './replication/subscription.js';
import { bothSides, otherSide } from './sides.js';

/**
 * Takes the promoted standby for its primary, because a person said so. What a switch left half-way is settled first: the
 * rows of both sides say how, as after any crash. Then, with the writes on the source, replication begins anew, unless the
 * slot came along: either side may have lost transactions that the other one has, and only a comparison of all rows tells.
 *
 * Fails with `SystemChanged` for a server that no promotion explains, and with `AuthorityLost` when the two sides contradict
 * each other: a standby that knew nothing of the switch says that the source takes writes, while the target does.
 */
export async function acceptFailover(move: DatabaseMove): Promise<FailoverAccepted> {
  const changed = await changedSides(move);
  if (changed.length === 0) return { resync: false };
  await using attempt = await Attempt.takeCharge(move, isPromoted);
  const primary = await settleWith(attempt, move);
  const resync = primary === 'source' && !(await canGoOn(attempt, changed));
  if (resync) {
    const name = scopeNames(move.key).slot('source');
    await dropSubscription(attempt.sides.target, name);
    await dropSlot(attempt.sides.source, name);
  }
  for (const side of changed) {
    const publisher = publisherOf(move.database, side);
    await followPublisher(attempt.sides.of(otherSide(side)), { name: scopeNames(move.key).slot(side), publisher });
  }
  // Last: a crash before it leaves the migration holding for the same reason, and `retry` comes this way again.
  for (const side of changed) {
    const { timeline } = await identityOf(attempt.sides.of(side));
    await attempt.guarded(side, { states: ['open', 'closed'] }, async () => {
      await attempt.sides
        .of(side)
        .run('update godwit.authority set timeline = $2 where scope = $1', [move.key, timeline]);
    });
  }
  return { resync };
}

const isPromoted = (row: AuthorityRow, identity: Identity): boolean =>
  row.systemIdentifier === identity.systemIdentifier && row.timeline < identity.timeline;

async function changedSides(move: DatabaseMove): Promise<Primary[]> {
  await using sides = await bothSides(move, 'failover');
  const changed: Primary[] = [];
  for (const side of ['source', 'target'] as const) {
    const row = await readAuthority(sides.of(side), move.key);
    if (row === null) {
      throw failure(
        'AuthorityLost',
        `the ${side} holds no authority row of this migration: what answers there is older than the migration`,
        'Abort, and start again',
      );
    }
    const identity = await identityOf(sides.of(side));
    const stranger = strangerIn(side, row, identity);
    if (stranger === null) continue;
    if (!isPromoted(row, identity)) {
      throw failure('SystemChanged', stranger, 'No promotion explains that: abort, or bring the right server back');
    }
    changed.push(side);
  }
  return changed;
}

/**
 * Whether the slot on the promoted source is good: one that came along (17 and newer, see `followsFailover`), or that a copy
 * has made there since. The target's own place in it is only known when it is the same server; a copy that still runs is
 * compared with its own snapshot anyway.
 */
async function canGoOn({ sides, key }: Attempt, changed: Primary[]): Promise<boolean> {
  const name = scopeNames(key).slot('source');
  const subscribed = await sides.target.row('select from pg_subscription where subname = $1', [name]);
  if (subscribed === undefined) return true;
  return !changed.includes('target') && !isBroken(await slotOf(sides.source, key, 'source'));
}
