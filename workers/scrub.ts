/** What may leave an activity: a failure of the closed list, with a message that holds no secret and no row. */
import { CancelledFailure, CompleteAsyncError, type Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURES, isFailureType } from '../spec/failures.js';

/** A failure is a few sentences; more would be somebody's data. */
const MESSAGE_KEPT = 2_000;

/** In this order: URLs first, since a password may look like anything that follows. */
const SECRETS: [RegExp, string][] = [
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s@]*@/gi, '$1***@'],
  [/\b(password|passwd|pwd|secret|token|api[_-]?key)(\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)/gi, '$1$2***'],
];

/** Where Postgres puts values of rows, in its messages and beside them. */
const ROWS: [RegExp, string][] = [
  [/^\s*(DETAIL|CONTEXT|WHERE|QUERY|STATEMENT):.*$/gim, ''],
  [/Key \([^)]*\)=\([^)]*\)/g, 'Key (…)=(…)'],
  [/Failing row contains \(.*\)/gs, 'Failing row contains (…)'],
  [/(invalid (?:input|byte)[^:]*:).*$/gim, '$1 …'],
];

/** Values that messages of unknown origin quote, such as JSON.parse's. */
const QUOTED: [RegExp, string] = [/"[^"]*"|'[^']*'|`[^`]*`/g, '"…"'];

export function scrubText(text: string): string {
  const clean = [...SECRETS, ...ROWS].reduce((left, [pattern, put]) => left.replace(pattern, put), text);
  return clean
    .replace(/\n{2,}/g, '\n')
    .trim()
    .slice(0, MESSAGE_KEPT);
}

/**
 * The error as it may go into a history. No cause and no stack: their texts begin with the message that was scrubbed.
 * Of the details only the SQLSTATE is kept.
 */
export function scrubError(error: unknown, activity: string): ApplicationFailure {
  if (error instanceof ApplicationFailure && isFailureType(error.type)) {
    const { type } = error;
    const nonRetryable = error.nonRetryable ?? !FAILURES[type].retryable;
    return bare(type, scrubText(error.message), nonRetryable, sqlStateOf(error.details?.[0]));
  }
  const name = error instanceof Error ? error.name : 'an error';
  const said =
    error instanceof Error
      ? scrubText(error.message)
          .replace(...QUOTED)
          .split('\n')[0]
      : '';
  return bare('Unexpected', `${activity} ended in ${name}${said ? `: ${said}` : ''}`, false, []);
}

function bare(type: string, message: string, nonRetryable: boolean, details: unknown[]): ApplicationFailure {
  const failure = ApplicationFailure.create({ type, message, nonRetryable, details });
  failure.stack = '';
  return failure;
}

function sqlStateOf(detail: unknown): { sqlState: string }[] {
  if (typeof detail !== 'object' || detail === null || !('sqlState' in detail)) return [];
  const { sqlState } = detail;
  return typeof sqlState === 'string' && /^[0-9A-Z]{5}$/.test(sqlState) ? [{ sqlState }] : [];
}

/** Cancellation goes through as it is, except that of a stopping worker: the work is for another one to take up. */
export function outcomeOf(error: unknown, context: Context): unknown {
  if (error instanceof CompleteAsyncError) return error;
  const stopped = error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError');
  if (stopped && context.cancellationSignal.aborted) {
    if (context.cancellationDetails?.cancelRequested === true) return new CancelledFailure('cancelled');
    if (context.cancellationDetails?.workerShutdown === true) {
      return bare('Unexpected', 'the worker stopped, and another one goes on', false, []);
    }
    return new CancelledFailure('cancelled');
  }
  return scrubError(error, context.info.activityType);
}
