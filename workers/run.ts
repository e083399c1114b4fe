/**
 * Godwit's workers in this process: one Temporal worker a task queue, so that a copy of days never takes the slot that a
 * switch needs. For the CLI, the demo, tests and the container's entry point (main.ts).
 */
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Activities } from '../activities/contract.js';
import type { ReconciliationActivities } from '../activities/reconciliation-contract.js';
import { observeReconciliations } from '../activities/reconciliation/observer.js';
import { DEFAULT_TASK_QUEUES } from '../spec/normal.js';
import { connectionOf, type TemporalSettings } from './connection.js';
import { serveHealth, type Health } from './health.js';
import { activityInterceptors } from './interceptors.js';
import { makeLog, temporalLog } from './log.js';
import { makeMetrics } from './metrics.js';
import { workflowCode } from './workflow-code.js';

export interface WorkersOptions extends TemporalSettings {
  /** @default all four: godwit, godwit-bulk, godwit-snapshot, godwit-switch */
  queues?: string[];
  /** The queue that workflows run on. @default godwit */
  workflowQueue?: string;
  /** `PORT` or `HOST:PORT` for /healthz and /metrics. @default nothing is served */
  listen?: string | undefined;
  log?: Logger;
  /** For tests of the workflows, which bring a model of the databases. */
  activities?: Partial<Activities & ReconciliationActivities>;
  /** How long the activities that run may go on after `stop`. @default by queue */
  graceMs?: number;
}

export interface Workers {
  /** Takes nothing new, lets a switch complete, and answers once all has ended. */
  stop(): Promise<void>;
  /** Settles when the workers have ended; rejects if one of them failed. */
  done: Promise<void>;
  /** Port of /healthz and /metrics; null when nothing is served. */
  port: number | null;
}

/** Heartbeats are passed on this often: a quarter of the 2 s after which the switch gives its worker up. */
const HEARTBEAT_THROTTLE_MS = 500;

/**
 * A workflow is first offered to the worker that has it in its cache, for this long. The default of 10 s is what each
 * step waits when that worker has died; histories are small, so replaying one elsewhere costs nothing.
 */
const STICKY_MS = 2_000;

/** A switch takes a second; one that moves on after a crash, a few. */
const SWITCH_GRACE_MS = 60_000;
/** A copy resumes where it was, so it needs no time to end. */
const BULK_GRACE_MS = 1_000;

const ALL_QUEUES = Object.values<string>({ ...DEFAULT_TASK_QUEUES });

export async function startWorkers(options: WorkersOptions = {}): Promise<Workers> {
  const log = options.log ?? makeLog('info');
  installRuntime(log);
  const { options: connectionOptions, namespace } = connectionOf(options);
  const connection = await NativeConnection.connect(connectionOptions);
  const metrics = makeMetrics();
  observeReconciliations(metrics.reconciliations);
  const shared: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    namespace,
    activities: { ...(options.activities ?? (await import('../activities/index.js')).activities) },
    interceptors: { activity: [activityInterceptors(metrics)] },
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
  };
  const workflowQueue = options.workflowQueue ?? DEFAULT_TASK_QUEUES.light;
  const workers: Worker[] = [];
  let health: Health | null = null;
  try {
    for (const taskQueue of new Set(options.queues ?? ALL_QUEUES)) {
      const workflows = taskQueue === workflowQueue ? { workflowBundle: await workflowCode() } : {};
      const grace = options.graceMs ?? (/bulk|snapshot/.test(taskQueue) ? BULK_GRACE_MS : SWITCH_GRACE_MS);
      workers.push(await Worker.create({ ...shared, ...workflows, taskQueue, shutdownGraceTime: grace }));
    }
    if (options.listen !== undefined) {
      const complaints = (): string[] =>
        workers.filter(isUnwell).map((worker) => `${worker.options.taskQueue}: ${worker.getState()}`);
      health = await serveHealth({ listen: options.listen, registry: metrics.registry, complaints });
    }
  } catch (error) {
    await connection.close();
    throw error;
  }
  const done = runAll(workers, async () => {
    await health?.close();
    await connection.close();
  });
  // Whoever doesn't look at `done` learns of it from the log and /healthz.
  done.catch((error: unknown) =>
    log.error({ reason: error instanceof Error ? error.message : 'unknown' }, 'a worker failed'),
  );
  log.info({ queues: workers.map((worker) => worker.options.taskQueue), namespace }, 'workers started');
  return {
    done,
    port: health?.port ?? null,
    stop: async () => {
      workers.forEach(shutDown);
      await done;
    },
  };
}

/** When one fails, the others stop, too: a process that serves half of its queues looks healthier than it is. */
async function runAll(workers: Worker[], close: () => Promise<void>): Promise<void> {
  const runs = workers.map(async (worker) => {
    try {
      await worker.run();
    } catch (error) {
      workers.forEach(shutDown);
      throw error;
    }
  });
  const outcomes = await Promise.allSettled(runs);
  await close();
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

function shutDown(worker: Worker): void {
  if (worker.getState() === 'RUNNING') worker.shutdown();
}

function isUnwell(worker: Worker): boolean {
  return worker.getState() !== 'RUNNING' && worker.getState() !== 'INITIALIZED';
}

let installed = false;

/** Once a process. Signals are for the caller to handle, who may have more to stop than workers. */
function installRuntime(log: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({ logger: temporalLog(log), shutdownSignals: [] });
}
