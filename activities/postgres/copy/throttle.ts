/** The source's health comes first: while its standbys lag, or it has too much to do, the copy waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SlowDown } from '../../../spec/normal.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';
import type { RateLimit } from './rate.js';

const LOAD = statement(import.meta.url, '../sql/load.sql');
const LOOK_MS = 1_000;

/** Looks at the source every second until `signal`, and holds the flow of rows while a limit is passed. Never throws. */
export async function throttled(
  source: Session,
  slowDown: SlowDown | undefined,
  limit: RateLimit,
  signal: AbortSignal,
): Promise<void> {
  const { standbyLag = null, activeSessions = null } = slowDown ?? {};
  if (standbyLag === null && activeSessions === null) return;
  try {
    while (!signal.aborted) {
      const load = await source.row<{ standbyLagMs: number | null; activeSessions: number }>(LOAD);
      const over =
        (standbyLag !== null && (load?.standbyLagMs ?? 0) > standbyLag) ||
        (activeSessions !== null && (load?.activeSessions ?? 0) > activeSessions);
      if (over) limit.hold();
      else limit.release();
      await sleep(LOOK_MS, undefined, { signal });
    }
  } catch {
    // Told to stop; or the source is gone, which the copy itself will meet.
  } finally {
    limit.release();
  }
}
