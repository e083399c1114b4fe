/**
 * What the API of AWS refuses, as failures of the closed list. The message says which call it was and what would mend it; of
 * what the API wrote, only code and text are taken, neither headers nor the request.
 */
import { CancelledFailure, type ApplicationFailure } from '@temporalio/common';
import { failure } from '../failure.js';

/** `service:Action`, as IAM policies write it. */
export type Action = `${string}:${string}`;

const EXPIRED =
  /^(ExpiredToken|ExpiredTokenException|RequestExpired|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|InvalidSignature|SignatureDoesNotMatch|AuthFailure|MissingAuthenticationToken|IncompleteSignature|CredentialsProviderError|TokenProviderError|InvalidIdentityToken)/;
const DENIED = /^(AccessDenied|UnauthorizedOperation|NotAuthorized|OptInRequired|Forbidden)/;
const THROTTLED =
  /^(Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|PriorRequestNotComplete|RequestThrottled|BandwidthLimitExceeded|LimitExceededException$)/;
const MISSING = /(NotFound|NoSuch[A-Z])/;
/** A conflict: ACM is still at work on the same certificate. */
const UNAVAILABLE =
  /^(ServiceUnavailable|InternalError|InternalFailure|InternalServerError|RequestTimeout|TimeoutError|ConflictException|RequestInProgressException)/;

/** The codes that failures came with. Not in the failures themselves: those are for people, and go into histories. */
const codes = new WeakMap<Error, string>();
/** Failures whose calls may have taken effect. */
const unanswered = new WeakSet<Error>();

/** The API's own code of a failure that came from here, such as `InvalidChangeBatch`; null: it didn't come from the API. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error ? (codes.get(error) ?? null) : null;
}

/** Whether the API said that the thing isn't there. */
export const isMissing = (error: unknown): boolean => MISSING.test(codeOf(error) ?? '');

/** Whether the call may have taken effect although it failed: no answer came, or one that says nothing. */
export const mayHaveHappened = (error: unknown): boolean => error instanceof Error && unanswered.has(error);

/** @param who what the call was made as: a role's ARN, or null for the worker's own credentials */
export function awsFailure(error: unknown, action: Action, who: string | null): Error {
  if (error instanceof CancelledFailure) return error;
  if (!(error instanceof Error)) return failure('AwsUnavailable', `${action} failed for a reason that has no words`);
  const { name } = error;
  const made = translated(error, action, who);
  codes.set(made, name);
  if ((statusOf(error) ?? 500) >= 500) unanswered.add(made);
  return made;
}

function translated(error: Error, action: Action, who: string | null): ApplicationFailure {
  const { name } = error;
  const caller = who === null ? "the worker's own credentials" : `the role ${who}`;
  if (EXPIRED.test(name)) {
    return failure(
      'AuthenticationFailed',
      `AWS refused ${caller} for ${action}: ${name}`,
      'Renew them where the worker finds them, then retry; the traffic stays as it is',
    );
  }
  if (DENIED.test(name)) {
    return failure(
      'PermissionDenied',
      `${caller} may not ${action}: ${textOf(error)}`,
      '`godwit plan FILE --iam` prints the policy that it needs; the traffic stays as it is',
    );
  }
  if ((THROTTLED.test(name) && !isQuota(name, action)) || statusOf(error) === 429) {
    return failure('AwsUnavailable', `AWS limits the rate of ${action} (${name}); it is tried again`);
  }
  if (MISSING.test(name)) return failure('InvalidSpec', `${action}: ${name}: ${textOf(error)}`);
  const status = statusOf(error);
  if (status === null || status >= 500 || UNAVAILABLE.test(name)) {
    return failure('AwsUnavailable', `${action} had no usable answer (${reasonOf(error, status)}); it is tried again`);
  }
  return failure('AwsRefused', `AWS refused ${action}: ${name}: ${textOf(error)}`);
}

/** ACM's word for its quotas, such as names of one certificate, is elsewhere one for rates. */
const isQuota = (name: string, action: Action): boolean =>
  name === 'LimitExceededException' && action.startsWith('acm:');

/** Null: no answer came. */
function statusOf(error: Error): number | null {
  if (!('$metadata' in error) || typeof error.$metadata !== 'object' || error.$metadata === null) return null;
  const { httpStatusCode } = error.$metadata as { httpStatusCode?: unknown };
  return typeof httpStatusCode === 'number' ? httpStatusCode : null;
}

/** Refusals of a batch list their reasons beside the message. */
function textOf(error: Error): string {
  const messages = 'messages' in error && Array.isArray(error.messages) ? error.messages.join('; ') : '';
  return (messages === '' ? error.message : messages).slice(0, 500) || 'no reason was given';
}

function reasonOf(error: Error, status: number | null): string {
  if (status !== null) return `${error.name}, HTTP ${status}`;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
