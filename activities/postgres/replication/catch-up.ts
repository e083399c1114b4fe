/** Waits until the target has what the source had, and keeps up. */
import type { Progress } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { cancellation, heartbeat } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { awaitMarker, writeMarker } from '../marker.js';
import { bothSides } from '../sides.js';
import { isBroken, problemsOf, slotOf, subscriptionOf, type SlotView } from './health.js';

/** Between two heartbeats while a marker is on its way. */
const LOOK_EVERY_MS = 1_000;
/**
 * An apply worker restarts every 5 s after an error (`wal_retrieve_retry_interval`): gone this long, it won't come; failing
 * again and again this long, it won't get over it.
 */
const PATIENCE_MS = 60_000;
/** Without an error for several restarts. */
const QUIET_MS = 30_000;

/**
 * Passes markers until one needs less than `cutover.maxLag`. Fails with `ReplicationBroken` when the slot is lost, the
 * subscription is gone, or its worker stays away or fails for `patience` milliseconds.
 */
export async function catchUp(move: DatabaseMove, patience = PATIENCE_MS): Promise<{ lagMs: number }> {
  await using sides = await bothSides(move, 'catch-up');
  const signal = cancellation();
  let workerSeen = performance.now();
  const failing = new FailingApply();
  let began: SlotView | null = null;
  for (;;) {
    const marker = await writeMarker(sides.source, move.key);
    const sent = performance.now();
    for (;;) {
      signal.throwIfAborted();
      const [subscription, slot] = await Promise.all([
        subscriptionOf(sides.target, move.key, 'source'),
        slotOf(sides.source, move.key, 'source'),
      ]);
      began ??= slot;
      const problems =
        subscription === null
          ? ['the target has no subscription']
          : problemsOf(subscription, slot, { sender: 'source', receiver: 'target', arriving: false });
      if (subscription?.workerPid != null) workerSeen = performance.now();
      const gone = performance.now() - workerSeen > patience;
      const stuck = failing.forMs(subscription?.applyErrors ?? null) > patience;
      if (subscription === null || isBroken(slot) || gone || stuck) {
        throw failure(
          'ReplicationBroken',
          `changes don't reach the target: ${problems.join('; ')}`,
          'The source takes writes as before; abort, or repair and retry',
        );
      }
      heartbeat(progressOf(move, began, slot, performance.now() - sent, problems));
      const arrived = await awaitMarker(sides.target, move.key, marker.id, LOOK_EVERY_MS, signal);
      if (arrived !== null) {
        failing.arrived();
        break;
      }
    }
    const lagMs = performance.now() - sent;
    if (lagMs < move.database.cutover.maxLag) return { lagMs };
  }
}

/** Errors are counted for ever, so only those count that come while nothing arrives. */
class FailingApply {
  #before: number | null = null;
  #since: number | null = null;
  #last = 0;

  /** How long errors have come, without a change arriving. */
  forMs(errors: number | null): number {
    if (errors !== null && this.#before !== null && errors > this.#before) {
      this.#last = performance.now();
      this.#since ??= this.#last;
    }
    this.#before = errors;
    // Over it, and busy with what had queued up.
    if (performance.now() - this.#last > QUIET_MS) this.#since = null;
    return this.#since === null ? 0 : performance.now() - this.#since;
  }

  arrived(): void {
    this.#since = null;
  }
}

function progressOf(
  move: DatabaseMove,
  began: SlotView | null,
  slot: SlotView | null,
  waitedMs: number,
  problems: string[],
): Progress {
  const left = slot?.retainedBytes ?? 0;
  const total = Math.max(began?.retainedBytes ?? 0, left);
  return {
    unit: move.database.unit,
    phase: 'catchUp',
    what: 'rows',
    done: 0,
    total: 0,
    bytesDone: total - left,
    bytesTotal: total,
    bytesPerSecond: 0,
    detail: [`a marker is ${Math.round(waitedMs)} ms on its way`, ...problems].join('; '),
  };
}
