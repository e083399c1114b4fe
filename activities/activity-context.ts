/** The running activity, as far as one runs: the same code serves workers, and tests and benchmarks without Temporal. */
import { asyncLocalStorage, Context } from '@temporalio/activity';
import type { Progress } from '../spec/status.js';

const never = new AbortController().signal;
const latest = new WeakMap<Context, Progress>();

function current(): Context | null {
  return asyncLocalStorage.getStore() === undefined ? null : Context.current();
}

/**
 * Says that the activity lives, and how far it is; without `progress`, as far as it was. Workers say it by themselves
 * all the time, so an activity needs to only when it has something to tell.
 */
export function heartbeat(progress?: Progress): void {
  const context = current();
  if (context === null) return;
  if (progress !== undefined) latest.set(context, progress);
  context.heartbeat(latest.get(context));
}

/** Aborted when a pause, an abort or a worker's shutdown asks the activity to stop. */
export function cancellation(): AbortSignal {
  return current()?.cancellationSignal ?? never;
}
