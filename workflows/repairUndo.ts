import type { RepairSummary } from '../spec/reconciliation.js';
import { invalid } from './phase.js';
import { runActivities } from './proxies.js';
import { givenIn, running } from './runs.js';

/** Input: `{document, repair, by?}`. Restores the rows that a repair changed, but for those that were changed since. */
export async function repairUndo(input: unknown): Promise<RepairSummary> {
  const { document, repair, by } = givenIn(input);
  if (typeof repair !== 'string' || repair === '')
    throw invalid('expected repair, the id of the repair that is undone');
  return running({ document, run: '', unattended: false }, async ({ normal, step, tell }) => {
    tell({ step: 'undoing', repair });
    const whoever = typeof by === 'string' ? by : null;
    const summary = await step(() => runActivities(normal.taskQueues).undoRepair({ repair, normal, by: whoever }));
    tell({ run: summary.run });
    return summary;
  });
}
