/** Takes away what initial sync and the switches have made for replication, in both directions. */
import type { DatabaseMove } from '../../contract.js';
import { scopeNames } from '../names.js';
import { otherSide } from '../sides.js';
import { dropGroupsOn } from '../copy/groups.js';
import { endSyncSessions } from '../copy/sessions.js';
import { onEachSide, requireWriterIsSource } from './each-side.js';
import { dropSlot } from './slot.js';
import { dropSubscription } from './subscription.js';

/**
 * Ends copies of ours, then drops subscriptions and slots, forward and reverse. Works while the other server is gone:
 * a subscription is dropped without asking its publisher. Copied rows are `undoSchema`'s.
 */
export async function undoInitialSync(move: DatabaseMove): Promise<void> {
  const names = scopeNames(move.key);
  await onEachSide(move, 'undo-sync', async (session, side) => {
    await requireWriterIsSource(session, side, move.key);
    await endSyncSessions(session, move.key);
    await dropSubscription(session, names.slot(otherSide(side)));
    await dropSlot(session, names.slot(side));
    await dropGroupsOn(session, move.key);
  });
}
