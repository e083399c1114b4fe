/** Takes away what initial sync and the switches have made for replication, in both directions. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { readAuthority } from '../authority.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { otherSide } from '../sides.js';
import { endSyncSessions } from '../copy/sessions.js';
import { onEachSide } from './each-side.js';
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
  });
}

/** Dropped while writes go to the target, the reverse slot would take them along. Each side speaks for itself. */
async function requireWriterIsSource(session: Session, side: Primary, key: string): Promise<void> {
  const row = await readAuthority(session, key);
  if (row === null || row.state === (side === 'source' ? 'open' : 'closed')) return;
  throw failure(
    'AuthorityLost',
    `writes are not with the source alone: the ${side} is ${row.state}`,
    'Replication stays as it is; move the writes back first with "godwit rollback"',
  );
}
