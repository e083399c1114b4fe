/** Undoing on two servers, of which one may be gone. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { Session } from '../session.js';

/** Runs `work` on both sides, the target first; fails with the first failure, once the other side is done. */
export async function onEachSide(
  move: DatabaseMove,
  purpose: string,
  work: (session: Session, side: Primary) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const side of ['target', 'source'] as const) {
    try {
      await using session = await Session.open(side, move.database[side], { purpose: `${move.key} ${purpose}` });
      await work(session, side);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
