import { forgettingActivities } from './proxies.js';
import { givenIn, running } from './runs.js';

/** Input: the document. Removes what a reconciliation has left on its databases; its runs and repairs can't be read any more. */
export async function forget(input: unknown): Promise<void> {
  return running(
    { document: givenIn(input)['document'], run: '', unattended: true },
    async ({ normal, step, tell }) => {
      tell({ step: 'forgetting' });
      await step(() => forgettingActivities(normal.taskQueues).forgetReconciliation({ normal }));
    },
  );
}
