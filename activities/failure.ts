/** Failures that activities throw: typed by the closed list, for people, without rows or secrets. */
import { ApplicationFailure } from '@temporalio/common';
import { FAILURES, type FailureType } from '../spec/failures.js';

/**
 * @param message for the person who reads it at night: what was wanted, what was found
 * @param next what still holds, and what to do
 */
export function failure(type: FailureType, message: string, next?: string): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message: next === undefined ? message : `${message}. ${next}`,
    nonRetryable: !FAILURES[type].retryable,
  });
}
