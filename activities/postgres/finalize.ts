/** The only stage without a way back: replication to the old side ends, and the new side is rid of everything of ours. */
import type { DatabaseMove } from '../contract.js';
import { failure } from '../failure.js';
import { Attempt, forgetScope, readAuthority } from './authority.js';
import { settle } from './cutover.js';
import { removeFence } from './fence.js';
import { scopeNames } from './names.js';
import { dropSlot } from './replication/slot.js';
import { dropSubscription } from './replication/subscription.js';
import { bothSides } from './sides.js';
import { identifier } from './statements.js';

/**
 * Ends reverse replication and removes fence, marker and authority from the target. The source keeps its closed fence and
 * its authority row, so that nobody ever writes into the past; drop its database when its backups are no longer needed.
 * Fails with `AuthorityLost` if the writes are not with the target. Fine to run again.
 */
export async function finalizeDatabase(move: DatabaseMove): Promise<void> {
  if (await targetIsFree(move)) return;
  const { primary } = await settle(move);
  if (primary !== 'target') {
    throw failure('AuthorityLost', 'writes still go to the source', 'Switch first; nothing was finalized');
  }
  const names = scopeNames(move.key);
  await using attempt = await Attempt.takeCharge(move);
  const { source, target } = attempt.sides;
  await dropSubscription(source, names.slot('target'));
  await dropSlot(target, names.slot('target'));
  for (const side of [source, target]) await side.run(`drop publication if exists ${identifier(names.publication)}`);
  await source.run(`drop table if exists godwit.${identifier(names.marker)}`);
  await removeFence(target, move.key);
  await forgetScope(target, move.key);
}

/** Whether an earlier run came to its end: the source ceded, and the target knows nothing of this scope any more. */
async function targetIsFree(move: DatabaseMove): Promise<boolean> {
  await using sides = await bothSides(move, 'finalize');
  const [source, target] = await Promise.all([
    readAuthority(sides.source, move.key),
    readAuthority(sides.target, move.key),
  ]);
  return source?.state === 'closed' && target === null;
}
