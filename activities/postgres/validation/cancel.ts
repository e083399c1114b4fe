/** Ends running statements at once: a closed connection would only be noticed after seconds, or at the statement's end. */
import { Session } from '../session.js';
import type { Pair } from '../sides.js';
import type { Primary } from '../../../spec/status.js';

export interface Backend {
  session: Session;
  side: Primary;
  pid: number;
}

export async function backendOf(session: Session, side: Primary): Promise<Backend> {
  const found = await session.row<{ pid: number }>('select pg_backend_pid() as pid');
  return { session, side, pid: found?.pid ?? 0 };
}

/** Fine when a server is gone: so is what should be cancelled. */
export async function cancelStatements(pair: Pair, backends: Backend[]): Promise<void> {
  for (const side of ['source', 'target'] as const) {
    // a closed session's number may be somebody else's by now
    const pids = backends.filter((backend) => backend.side === side && !backend.session.lost).map(({ pid }) => pid);
    if (pids.length === 0) continue;
    try {
      await using session = await Session.open(side, pair.database[side], { purpose: `${pair.key} validation cancel` });
      await session.rows('select pg_cancel_backend(pid) from unnest($1::int[]) as pid', [pids]);
    } catch {
      continue;
    }
  }
}

/** `work`, with an abort ending the statements of these backends. */
export async function cancelledBy<T>(
  signal: AbortSignal,
  pair: Pair,
  backends: Backend[],
  work: () => Promise<T>,
): Promise<T> {
  const cancel = (): void => void cancelStatements(pair, backends);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    signal.throwIfAborted();
    return await work();
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
