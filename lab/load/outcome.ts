/** What an error says about the request it ended. */
import pg from 'pg';
import type { Outcome } from './record.js';

/**
 * An ERROR of the server is its word that nothing was committed. Whatever cuts the connection isn't: the commit may
 * have been done and its answer lost. 57P01…57P05 end the session, 08… come from the pooler when it lost its server.
 */
export function outcomeOf(error: unknown): { outcome: Outcome; code: string } {
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const cut = error.severity !== 'ERROR' || error.code.startsWith('08') || error.code.startsWith('57P');
    return { outcome: cut ? 'unknown' : 'failed', code: error.code };
  }
  return { outcome: 'unknown', code: socketCode(error) };
}

export function socketCode(error: unknown): string {
  if (error instanceof pg.DatabaseError && error.code !== undefined) return error.code;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'CONNECTION_LOST';
}
