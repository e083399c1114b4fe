/** How it is known that the standby has applied all that the primary had committed at one moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../../spec/normal.js';
import { failure } from '../../failure.js';
import { awaitMarker, writeMarker } from '../marker.js';
import type { Session } from '../session.js';

export interface Ends {
  primary: Session;
  standby: Session;
}

/**
 * `fact`: Postgres itself says so. `patience`: nothing can, so a difference counts once it has stayed as it is for so long, without a
 * lock, which nobody could hold meanwhile.
 */
export interface Proof {
  kind: 'fact' | 'patience';
  /** In words, for the certificate. */
  words: string;
  /**
   * True once all that was committed on the primary at the call is applied on the standby; false when `timeout` passed.
   * The sessions are the caller's, with nothing else under way.
   */
  caughtUp(ends: Ends, timeout: Milliseconds, signal?: AbortSignal): Promise<boolean>;
}

/** The marker of a scope: commit order makes its arrival the proof, and it takes 3 ms. */
export function markerProof(scope: string): Proof {
  return {
    kind: 'fact',
    words: `the marker of scope ${scope}`,
    caughtUp: async ({ primary, standby }, timeout, signal) => {
      const marker = await writeMarker(primary, scope);
      return (await awaitMarker(standby, scope, marker.id, timeout, signal)) !== null;
    },
  };
}

const LOOK_EVERY_MS = 2;
const LOOK_EVERY_AT_MOST_MS = 100;

/**
 * Logical replication of the user's own. A subscriber tells what it has applied (replay_lsn, 5 ms), and confirms what it has flushed as
 * well (confirmed_flush_lsn, up to 200 ms later); the first is shown only to those who may see its connection. An empty message
 * moves an idle stream along. https://www.postgresql.org/docs/current/logicaldecoding-explanation.html
 */
export function slotProof(slots: string[]): Proof {
  return {
    kind: 'fact',
    words: `what is applied from ${slots.length === 1 ? 'slot' : 'slots'} ${slots.join(', ')}`,
    caughtUp: async ({ primary }, timeout, signal) => {
      await primary.rows(`select pg_logical_emit_message(true, 'godwit', '')`);
      // the commit comes after the message, so the position is asked for once it is over
      const at = await primary.row<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
      return within(timeout, signal, async () => {
        const found = await primary.row<{ there: number; behind: number }>(
          `select count(*)::int as there,
                  count(*) filter (where greatest(s.confirmed_flush_lsn, r.replay_lsn) < $2::pg_lsn)::int as behind
           from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
           where s.slot_name = any ($1::text[])`,
          [slots, at?.lsn],
        );
        if (found?.there !== slots.length) {
          throw failure(
            'ReplicationBroken',
            `the ${primary.side} has no replication slot ${slots.join(' or ')} any more`,
            'Two sides can only be compared while one follows the other; nothing was changed',
          );
        }
        return found.behind === 0;
      });
    },
  };
}

/** Replication that Postgres knows nothing of. */
export function patienceProof(wait: Milliseconds): Proof {
  return {
    kind: 'patience',
    words: `a grace of ${wait / 1_000} s`,
    caughtUp: async (_ends, _timeout, signal) => {
      await sleep(wait, undefined, signal ? { signal } : {});
      return true;
    },
  };
}

/** Nothing flows between the two: what differs, differs. */
export const noProof: Proof = {
  kind: 'fact',
  words: 'none: nothing is replicated between the two',
  caughtUp: () => Promise.resolve(true),
};

/** Fails with `ReplicationBroken` where what the primary had committed at the call doesn't arrive in time. */
export async function requireCaughtUp(
  proof: Proof,
  ends: Ends,
  timeout: Milliseconds,
  signal?: AbortSignal,
): Promise<void> {
  if (await proof.caughtUp(ends, timeout, signal)) return;
  throw failure(
    'ReplicationBroken',
    `what the ${ends.primary.side} had committed did not arrive on the ${ends.standby.side} within ${timeout} ms`,
    'Look at pg_stat_subscription and the server log of the receiving side; it can be started again at any time',
  );
}

async function within(
  timeout: Milliseconds,
  signal: AbortSignal | undefined,
  fact: () => Promise<boolean>,
): Promise<boolean> {
  const deadline = Date.now() + timeout;
  for (let wait = LOOK_EVERY_MS; !(await fact()); wait = Math.min(wait * 1.5, LOOK_EVERY_AT_MOST_MS)) {
    if (Date.now() > deadline) return false;
    await sleep(wait, undefined, signal ? { signal } : {});
  }
  return true;
}
