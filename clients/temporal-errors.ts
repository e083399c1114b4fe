/** What Temporal throws, as sentences with a next step. */
import {
  isGrpcServiceError,
  QueryNotRegisteredError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import {
  NamespaceNotFoundError,
  TimeoutFailure,
  type ActivityFailure,
  type ChildWorkflowFailure,
} from '@temporalio/common';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';
import { migrationsLike } from './migrations.js';

/** https://grpc.io/docs/guides/status-codes/ */
const GRPC = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  failedPrecondition: 9,
  unavailable: 14,
  unauthenticated: 16,
};

export async function explainTemporalError(error: unknown, temporal: Temporal): Promise<unknown> {
  if (error instanceof CliError) return error;
  if (error instanceof WorkflowNotFoundError) return notFound(error, temporal);
  if (error instanceof NamespaceNotFoundError) return namespaceNotFound(temporal, error);
  if (error instanceof WorkflowExecutionAlreadyStartedError) return alreadyRunning(error);
  if (error instanceof WorkflowUpdateFailedError) {
    return new CliError(`refused: ${innermost(error)}`, { cause: error });
  }
  if (error instanceof WorkflowFailedError) return new CliError(innermost(error), { cause: error });
  if (error instanceof QueryNotRegisteredError) {
    return new CliError('this workflow has no status: it is no migration, nor a phase of one.', {
      next: ['`godwit list` shows the migrations'],
      cause: error,
    });
  }
  return explainGrpc(error, temporal);
}

/** The failure at the bottom says what happened; those above it only which activity or child it happened in. */
export function innermost(error: Error): string {
  let deepest: Error = error;
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  if (deepest instanceof TimeoutFailure) return `${whichStep(error)} took longer than it may (${deepest.message})`;
  return deepest.message;
}

function whichStep(error: Error): string {
  const step = error.cause as Partial<ActivityFailure & ChildWorkflowFailure> | undefined;
  return step?.activityType ?? step?.workflowType ?? 'the workflow';
}

async function notFound(error: WorkflowNotFoundError, temporal: Temporal): Promise<CliError> {
  const known = await migrationsLike(temporal, error.workflowId).catch(() => []);
  return new CliError(`there is no migration \`${error.workflowId}\` in namespace ${temporal.namespace}.`, {
    next:
      known.length > 0
        ? [`did you mean ${known.map((id) => `\`${id}\``).join(', ')}?`]
        : ['`godwit list` shows all; --namespace looks elsewhere'],
    cause: error,
  });
}

function namespaceNotFound(temporal: Temporal, cause: unknown): CliError {
  return new CliError(`Temporal at ${temporal.address} has no namespace \`${temporal.namespace}\`.`, {
    next: [
      'name another with --namespace or TEMPORAL_NAMESPACE',
      `or make it: temporal operator namespace create ${temporal.namespace}`,
    ],
    cause,
  });
}

function alreadyRunning(error: WorkflowExecutionAlreadyStartedError): CliError {
  return new CliError(`\`${error.workflowId}\` is running already.`, {
    next: [`godwit status ${error.workflowId}`, 'or give this one another name with --id'],
    cause: error,
  });
}

function explainGrpc(error: unknown, temporal: Temporal): unknown {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  if (!isGrpcServiceError(cause)) return error;
  const said = cause.details || cause.message;
  switch (cause.code as number) {
    case GRPC.unavailable:
      return new CliError(`the connection to Temporal at ${temporal.address} was lost: ${said}`, {
        next: ['migrations go on by themselves; try again'],
        cause: error,
      });
    case GRPC.deadlineExceeded:
      return new CliError(`Temporal at ${temporal.address} didn't answer in time: ${said}`, { cause: error });
    case GRPC.notFound:
      return /namespace/i.test(said) ? namespaceNotFound(temporal, error) : new CliError(said, { cause: error });
    case GRPC.permissionDenied:
    case GRPC.unauthenticated:
      return new CliError(`Temporal at ${temporal.address} refuses these credentials: ${said}`, {
        next: ['check TEMPORAL_API_KEY, the TLS settings and TEMPORAL_PROFILE'],
        cause: error,
      });
    case GRPC.failedPrecondition:
    case GRPC.invalidArgument:
      return new CliError(`Temporal refuses: ${said}`, { cause: error });
    default:
      return error;
  }
}
