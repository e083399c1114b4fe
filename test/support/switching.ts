/** What tests of the switch say again and again. */
import type { DatabaseMove, SwitchInput } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';

/** A budget that lets a dead attempt's lease run out while a test watches. */
export const SHORT_LEASE = {
  cutover: { maxPause: 2_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 100, window: null },
};

export const inputOf = (move: DatabaseMove, direction: SwitchInput['direction']): SwitchInput => ({
  move,
  direction,
  mode: 'switch',
  attempt: 1,
});

/** Whether this server takes a write to the writers' tables. */
export async function accepts(server: PostgresServer, database: string): Promise<boolean> {
  return server.query('update account set balance = balance where id = 1', [], database).then(
    () => true,
    () => false,
  );
}
