/** A worker process that dies as soon as it begins to compare. Arguments: its queue of workflows, and that of bulk. */
import { makeLog } from '../../workers/log.js';
import { startWorkers } from '../../workers/run.js';
import { ModelReconciliation } from './model-reconciliation.js';

const [light, bulk] = process.argv.slice(2);
if (light === undefined || bulk === undefined) throw new Error('usage: dying-run QUEUE BULK-QUEUE');

const { activities } = new ModelReconciliation({ light, bulk });
const workers = await startWorkers({
  address: process.env['TEMPORAL_ADDRESS'],
  queues: [light, bulk],
  workflowQueue: light,
  activities: {
    ...activities,
    reconcile: () => {
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined);
    },
  },
  log: makeLog('silent'),
});
await workers.done;
