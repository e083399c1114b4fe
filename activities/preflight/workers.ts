/** Workers: at least two that could take over a switch. */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { Finding } from '../../spec/findings.js';
import type { WorkersInput } from '../contract.js';
import type { Found, Rules } from './check.js';
import { listed } from './evidence.js';

type Id = 'lone-worker' | 'no-worker';

export const WORKER_RULES: Rules<Id> = {
  'lone-worker': {
    severity: 'warning',
    title: 'One worker alone serves the switch',
    why: 'If it dies in the middle of a switch, writes stay refused until it is back, and a bad green keeps its traffic. With a second worker that costs seconds.',
    mend: 'Start another worker, on another machine: godwit worker.',
  },
  'no-worker': {
    severity: 'error',
    title: 'No worker serves a task queue',
    why: 'Its activities would wait for ever.',
    mend: 'Start a worker for it: godwit worker --queues ….',
  },
};

/** `TASK_QUEUE_TYPE_ACTIVITY`: @temporalio/proto has the enum, but Node finds no names in that package. */
const ACTIVITIES = 2;

/** A poller asks again once a minute; the server lists it for five. One that has not asked for two has most likely ended. */
const ALIVE_MS = 120_000;

/** Whether enough workers poll the queues of one unit. Asks Temporal alone, with the worker's own connection. */
export async function preflightWorkers(input: WorkersInput): Promise<Finding[]> {
  return findWorkers(Context.current().client, input);
}

/** @param client of the namespace that the migration runs in */
export async function findWorkers(client: Client, { unit, queues }: WorkersInput): Promise<Finding[]> {
  const found: Found<Id>[] = [];
  for (const queue of new Set([queues.light, queues.bulk, queues.snapshot, queues.switch])) {
    const workers = await pollers(client, queue);
    if (workers.length === 0) {
      found.push({
        id: 'no-worker',
        evidence: `nobody polls ${queue} for activities`,
        repair: [`Start a worker that serves ${queue}: godwit worker`],
      });
    } else if (queue === queues.switch && workers.length === 1) {
      found.push({
        id: 'lone-worker',
        evidence: `${listed(workers)} alone polls ${queue}; expected two or more`,
        repair: ['Start another worker, on another machine: godwit worker'],
      });
    }
  }
  return found.map(({ id, evidence, repair }) => {
    const { severity, title } = WORKER_RULES[id];
    return { id, severity, unit, side: 'both', title, evidence, repair };
  });
}

/** Identities of the workers that poll a queue for activities. */
async function pollers(client: Client, queue: string): Promise<string[]> {
  const answer = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: ACTIVITIES,
  });
  const since = Date.now() - ALIVE_MS;
  const alive = (answer.pollers ?? []).filter(
    ({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000 >= since,
  );
  return [...new Set(alive.map(({ identity }) => identity ?? 'unnamed'))].sort();
}
