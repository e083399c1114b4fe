/** The running activity, as far as one runs: the same code serves workers, and tests and benchmarks without Temporal. */
import { asyncLocalStorage, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
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

/** Of work that is counted, and not weighed. */
export const counting = (progress: Omit<Progress, 'bytesDone' | 'bytesTotal' | 'bytesPerSecond'>): Progress => ({
  ...progress,
  bytesDone: 0,
  bytesTotal: 0,
  bytesPerSecond: 0,
});

/** From now on the activity says only that it lives: another one tells how far both are. */
export function saySilently(): void {
  const context = current();
  if (context !== null) latest.delete(context);
}

/** An activity that was asked to stop ends as cancelled, whatever it failed with when it was. */
export async function stoppable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (cancellation().aborted)
      throw new CancelledFailure('asked to stop; it goes on where it was when it is run again');
    throw error;
  }
}

/** Whether the workflow has asked the activity to stop, and not only a worker that shuts down. */
export function isCalledOff(): boolean {
  return current()?.cancellationDetails?.cancelRequested === true;
}

/** Aborted when a pause, an abort or a worker's shutdown asks the activity to stop. */
export function cancellation(): AbortSignal {
  return current()?.cancellationSignal ?? never;
}
