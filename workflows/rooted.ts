/** Temporal's Cancel as an abort: without this the workflow would close at once, and leave everything as it is. */
import { CancellationScope } from '@temporalio/workflow';
import type { Control } from './control.js';

/** Runs `body` where a cancel doesn't reach it, and tells `control` of one from outside. */
export function rooted<T>(control: Control, body: () => Promise<T>): Promise<T> {
  CancellationScope.current().cancelRequested.catch(() => control.cancelled());
  return CancellationScope.nonCancellable(body);
}
