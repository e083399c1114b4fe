/** Activities by queue and time-out: one place decides how long each kind may take, and how it is tried again. */
import { proxyActivities, workflowInfo, type ActivityInterfaceFor, type ActivityOptions } from '@temporalio/workflow';
import { ActivityCancellationType } from '@temporalio/workflow';
import type { Activities } from '../activities/contract.js';
import type { ReconciliationActivities } from '../activities/reconciliation-contract.js';
import type { TrafficActivities } from '../activities/traffic-contract.js';
import type { Milliseconds, TaskQueues } from '../spec/normal.js';
import type { NormalReconciliation } from '../spec/reconciliation.js';

type Light =
  | 'normalize'
  | 'checkNamespace'
  | 'preflightDatabase'
  | 'preflightWorkers'
  | 'planDatabase'
  | 'grantsDatabase'
  | 'assemblePlan'
  | 'observe'
  | 'judge'
  | 'adoptShape'
  | 'giveUpSlot'
  | 'claim'
  | 'createPublication';
/** The schema and the fence are quick, except for the locks they may wait for. */
type Bulk =
  | 'prepareSchema'
  | 'installFence'
  | 'initialSync'
  | 'copyRanges'
  | 'finishSync'
  | 'catchUp'
  | 'validate'
  | 'checkReferences'
  | 'checkRules'
  | 'adoptPartitions'
  | 'refreshViews'
  | 'finalizeDatabase';
type Switch = 'switchWrites' | 'settle' | 'acceptFailover';

/** Workers heartbeat by themselves (workers/interceptors.ts), so this is how long a dead worker goes unnoticed. */
const LIGHT = {
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  // About two minutes of a database that doesn't answer; then a person is asked.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '15 seconds', maximumAttempts: 10 },
} satisfies ActivityOptions;

/** Cancelled by pause and abort; the answer is awaited, so that nothing of it runs any more when the next step begins. */
const BULK: ActivityOptions = {
  startToCloseTimeout: '7 days',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  // Attempts are also spent by deployments of workers, so there are many: half an hour of failing in a row at least.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds', maximumAttempts: 60 },
};

/**
 * Never cancelled: it ends by itself, one way or the other. 300 attempts at 100 ms are half a minute of failing at once;
 * meanwhile clients may wait, so a constant rhythm, and then a person.
 */
const SWITCH: ActivityOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '2 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '100 milliseconds', backoffCoefficient: 1, maximumAttempts: 300 },
};

/** On the workflow's own queue: what belongs to no unit. */
export function lightActivities(taskQueue = workflowInfo().taskQueue): ActivityInterfaceFor<Pick<Activities, Light>> {
  return proxyActivities<Pick<Activities, Light>>({ ...LIGHT, taskQueue });
}

export function bulkActivities({ bulk }: TaskQueues): ActivityInterfaceFor<Pick<Activities, Bulk>> {
  return proxyActivities<Pick<Activities, Bulk>>({ ...BULK, taskQueue: bulk });
}

/** Of a queue of its own: the holder may live in another process than the copiers. */
export function snapshotActivities({ snapshot }: TaskQueues): ActivityInterfaceFor<Pick<Activities, 'holdSnapshot'>> {
  return proxyActivities<Pick<Activities, 'holdSnapshot'>>({ ...BULK, taskQueue: snapshot });
}

export function switchActivities(queues: TaskQueues): ActivityInterfaceFor<Pick<Activities, Switch>> {
  return proxyActivities<Pick<Activities, Switch>>({ ...SWITCH, taskQueue: queues.switch });
}

type RunBulk = 'reconcile' | 'repair' | 'undoRepair';

/** On the workflow's own queue, as nothing else is known before the document is read. */
export function readingActivities(): ActivityInterfaceFor<Pick<ReconciliationActivities, 'normalizeReconciliation'>> {
  return proxyActivities<ReconciliationActivities>({ ...LIGHT, taskQueue: workflowInfo().taskQueue });
}

export function forgettingActivities({
  light,
}: NormalReconciliation['taskQueues']): ActivityInterfaceFor<Pick<ReconciliationActivities, 'forgetReconciliation'>> {
  return proxyActivities<ReconciliationActivities>({ ...LIGHT, taskQueue: light });
}

/** Runs and repairs of a reconciliation: tried again as copies are, and given up by pause and abort as they are. */
export function runActivities({
  bulk,
}: NormalReconciliation['taskQueues']): ActivityInterfaceFor<Pick<ReconciliationActivities, RunBulk>> {
  return proxyActivities<ReconciliationActivities>({ ...BULK, taskQueue: bulk });
}

/** Changes and looks at traffic: each ends within a minute or is tried again, and takes effect at most once. */
export function trafficActivities(taskQueue: string, direction?: 'back'): ActivityInterfaceFor<TrafficActivities> {
  const retry = direction === 'back' ? { ...LIGHT.retry, maximumAttempts: BACK_ATTEMPTS } : LIGHT.retry;
  return proxyActivities<TrafficActivities>({ ...LIGHT, startToCloseTimeout: '3 minutes', taskQueue, retry });
}

/** A quarter of an hour: users are where they fare badly, and an API that throttles for minutes lets them go by itself. */
const BACK_ATTEMPTS = 60;

/** Times its budget that an undo is tried before it is recorded as failed; it can be tried again by a new run. */
const UNDO_PATIENCE = 4;

/** One undo by its name. The budget alone never stops it: only four of them do, or a failure that no retry mends. */
export function undoActivity(name: string, input: unknown, taskQueue: string, budget: Milliseconds): Promise<unknown> {
  const undo = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
    taskQueue,
    startToCloseTimeout: Math.max(budget, 10 * 60_000),
    scheduleToCloseTimeout: budget * UNDO_PATIENCE,
    heartbeatTimeout: '2 seconds',
    retry: { initialInterval: '200 milliseconds', backoffCoefficient: 1.5, maximumInterval: '5 seconds' },
  })[name];
  if (undo === undefined) throw new TypeError(`no activity ${name}`);
  return undo(input);
}
