/** Undoing on two servers, of which one may be gone. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { readAuthority } from '../authority.js';
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

/**
 * What serves the way back may not go while writes are on the target: with the reverse slot they would be gone, too.
 * Each side speaks for itself, since the other may be out of reach. Fails with `AuthorityLost`.
 */
export async function requireWriterIsSource(session: Session, side: Primary, key: string): Promise<void> {
  const row = await readAuthority(session, key);
  if (row === null || row.state === (side === 'source' ? 'open' : 'closed')) return;
  throw failure(
    'AuthorityLost',
    `writes are not with the source alone: the ${side} is ${row.state}`,
    'Replication stays as it is; move the writes back first with "godwit rollback"',
  );
}
