/** Giving up replication before what it holds back fills a disk: the health of the side that takes the writes comes first. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { readAuthority } from '../authority.js';
import { dropGroupsOn } from '../copy/groups.js';
import { endSyncSessions } from '../copy/sessions.js';
import { scopeNames } from '../names.js';
import { Session } from '../session.js';
import { otherSide } from '../sides.js';
import { dropSlot } from './slot.js';
import { dropSubscription } from './subscription.js';

/**
 * Drops the slot of the side that takes the writes, and the subscription that reads it where that side answers. Before the
 * switch, the sync starts anew afterwards; after it, there is no way back any more. Fine when nothing is there.
 * Fails with `AuthorityLost` if neither side says that it takes the writes: in the middle of a switch nothing is given up.
 */
export async function giveUpSlot(move: DatabaseMove): Promise<void> {
  const side = await writerOf(move);
  const names = scopeNames(move.key);
  const options = { purpose: `${move.key} give-up` };
  await using writer = await Session.open(side, move.database[side], options);
  await endSyncSessions(writer, move.key);
  await dropSlot(writer, names.slot(side));
  await dropGroupsOn(writer, move.key);
  const receiver = otherSide(side);
  try {
    await using following = await Session.open(receiver, move.database[receiver], options);
    await dropSubscription(following, names.slot(side));
  } catch {
    // It may be what is out of reach that holds the WAL back. Its subscription without a slot only complains in its log, and
    // the next sync, or the undo, drops it.
  }
}

async function writerOf(move: DatabaseMove): Promise<Primary> {
  for (const side of ['source', 'target'] as const) {
    try {
      await using session = await Session.open(side, move.database[side], { purpose: `${move.key} give-up` });
      if ((await readAuthority(session, move.key))?.state === 'open') return side;
    } catch {
      continue;
    }
  }
  throw failure('AuthorityLost', 'neither side says that it takes the writes', 'Nothing was given up');
}
