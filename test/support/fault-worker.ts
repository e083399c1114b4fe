/**
 * A worker process that dies or stalls where a test says. Argument: a folder of files named by point, whose text is `kill`
 * or `stall`; the first process to reach a point takes the file away (see faults.ts). Points are those of
 * activities/fault.ts, and `before.NAME` and `after.NAME` of every activity. Further arguments: its task queues, if not all.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure } from '@temporalio/common';
import { cancellation } from '../../activities/activity-context.js';
import { injectFaults } from '../../activities/fault.js';
import { activities } from '../../activities/index.js';
import { startWorkers } from '../../workers/run.js';

const board = process.argv[2];
if (board === undefined) throw new Error('usage: fault-worker FOLDER [QUEUE…]');

async function meet(point: string): Promise<void> {
  const wish = join(board ?? '', point);
  if (!existsSync(wish)) return;
  const kind = readFileSync(wish, 'utf8');
  const reached = `${wish}.reached`;
  try {
    renameSync(wish, reached);
  } catch {
    return; // Another process was first.
  }
  writeFileSync(reached, String(process.pid));
  if (kind === 'kill') process.kill(process.pid, 'SIGKILL');
  while (existsSync(reached)) {
    if (cancellation().aborted) throw new CancelledFailure('asked to stop while it stalled');
    await sleep(20);
  }
}

injectFaults(meet);

const faulty = new Proxy(activities, {
  get(all, name) {
    const run: unknown = Reflect.get(all, name);
    if (typeof run !== 'function' || typeof name !== 'string') return run;
    return async (...input: unknown[]): Promise<unknown> => {
      await meet(`before.${name}`);
      const answer: unknown = await Reflect.apply(run, undefined, input);
      await meet(`after.${name}`);
      return answer;
    };
  },
});

const queues = process.argv.slice(3);
const [workflowQueue] = queues;
const served = workflowQueue === undefined ? {} : { queues, workflowQueue };
const workers = await startWorkers({ activities: faulty, address: process.env['TEMPORAL_ADDRESS'], ...served });
process.once('SIGTERM', () => void workers.stop());
await workers.done;
