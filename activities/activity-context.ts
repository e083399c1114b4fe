/** The running activity, as far as one runs: the same code serves workers, and tests and benchmarks without Temporal. */
import { asyncLocalStorage, Context } from '@temporalio/activity';
import type { Progress } from '../spec/status.js';

const never = new AbortController().signal;

function current(): Context | null {
  return asyncLocalStorage.getStore() === undefined ? null : Context.current();
}

/** Says that the activity lives, and how far it is. Without it, Temporal gives the work to another worker. */
export function heartbeat(progress?: Progress): void {
  current()?.heartbeat(progress);
}

/** Aborted when a pause, an abort or a worker's shutdown asks the activity to stop. */
export function cancellation(): AbortSignal {
  return current()?.cancellationSignal ?? never;
}
