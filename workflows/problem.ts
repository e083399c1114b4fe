/** What went wrong, as a person reads it: the innermost failure of the closed list, and what to do next. */
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { isFailureType, type FailureType } from '../spec/failures.js';
import type { Problem } from '../spec/status.js';

/** False for our own mistakes: those stall the workflow task until a better worker is deployed, and lose nothing. */
export function isFailureOfStep(error: unknown): error is TemporalFailure {
  return error instanceof TemporalFailure;
}

export function problemOf(error: TemporalFailure, next: string, now: string): Problem {
  return { ...describe(error), next, at: now };
}

export function describe(error: unknown): { type: FailureType; message: string } {
  let inner = error;
  let step = '';
  while ((inner instanceof ActivityFailure || inner instanceof ChildWorkflowFailure) && inner.cause !== undefined) {
    step = inner instanceof ActivityFailure ? inner.activityType : (inner.workflowType ?? step);
    inner = inner.cause;
  }
  if (inner instanceof ApplicationFailure) {
    return { type: isFailureType(inner.type) ? inner.type : 'Unexpected', message: inner.message };
  }
  if (inner instanceof TimeoutFailure) {
    return { type: 'Unexpected', message: `${step} got no answer in time; do workers poll its task queue?` };
  }
  const message = inner instanceof Error ? inner.message : String(inner);
  return { type: 'Unexpected', message: step === '' ? message : `${step}: ${message}` };
}
