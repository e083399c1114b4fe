/** Whether anybody works for a queue: without a worker, Temporal answers no query and runs no update. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';

/** A worker that is well answers within this; asking about pollers sooner would only cost a round trip. */
const PATIENCE_MS = 2_000;

/** A poll lasts 60 s at most, so a poller that was last seen before that is gone. */
const POLLER_AGE_MS = 75_000;

/**
 * One that lives took our task by now and polled again; one that polled before we asked, and not since, died. Longer than
 * a worker needs on a starved machine, whose polls of its own (sticky) queue we don't see.
 */
const SILENCE_MS = 10_000;

/** https://grpc.io/docs/guides/status-codes/: what Temporal answers to a query of a queue that nobody polls. */
const FAILED_PRECONDITION = 9;

export async function hasWorker(
  temporal: Temporal,
  taskQueue: string,
  since = Date.now() - POLLER_AGE_MS,
): Promise<boolean> {
  const { pollers } = await temporal.connection.workflowService.describeTaskQueue({
    namespace: temporal.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000 > since);
}

export function noWorker(taskQueue: string, cause?: unknown): CliError {
  return new CliError(`no worker polls the task queue \`${taskQueue}\`, so nothing moves and nothing answers.`, {
    next: [
      `start one where it can reach the databases: godwit worker${taskQueue === 'godwit' ? '' : ` --queues ${taskQueue}`}`,
      'nothing is lost meanwhile: whatever waits goes on when a worker comes',
    ],
    cause,
  });
}

/** Waits for an answer that a worker gives, and says so when there is none to give it. */
export async function answered<T>(temporal: Temporal, taskQueue: string, ask: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  try {
    // Aborted when we give up: the SDK would try again on a connection that is closed by then, and crash the process.
    const answer = temporal.connection.withAbortSignal(over.signal, ask).catch((error: unknown) => {
      throw isUnpolled(error) ? noWorker(taskQueue, error) : error;
    });
    return await Promise.race([answer, complainWithoutWorker(temporal, taskQueue, over.signal)]);
  } finally {
    over.abort();
  }
}

function isUnpolled(error: unknown): boolean {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  if (!isGrpcServiceError(cause)) return false;
  return (cause.code as number) === FAILED_PRECONDITION && cause.details.includes('no poller');
}

/** Rejects when nobody polls; never settles once `over`. */
async function complainWithoutWorker(temporal: Temporal, taskQueue: string, over: AbortSignal): Promise<never> {
  const asked = Date.now();
  for (;;) {
    try {
      await sleep(PATIENCE_MS, undefined, { signal: over });
      const silent = Date.now() - asked > SILENCE_MS;
      if (await hasWorker(temporal, taskQueue, silent ? asked - PATIENCE_MS : undefined)) continue;
    } catch {
      // The answer came, or the question about pollers failed: the answer itself decides.
      return new Promise<never>(() => undefined);
    }
    throw noWorker(taskQueue);
  }
}
