import type { RepairRun } from '../activities/reconciliation-contract.js';
import type { RepairSummary } from '../spec/reconciliation.js';
import { invalid } from './phase.js';
import { runActivities } from './proxies.js';
import { givenIn, ownId, running } from './runs.js';

const WHAT: readonly RepairRun['what'][] = ['policy', 'all', 'review'];

/** Input: `{document, run, what?, deletions?, by?}`. Mends what a run has found; `repairUndo` takes it back. */
export async function repair(input: unknown): Promise<RepairSummary> {
  const { document, run, what = 'review', deletions, by } = givenIn(input);
  const chosen = WHAT.find((one) => one === what);
  if (typeof run !== 'string' || run === '') throw invalid('expected run, the id of the run whose findings are mended');
  if (chosen === undefined) throw invalid(`expected what, one of ${WHAT.join(', ')}`);
  return running({ document, run, unattended: false }, async ({ normal, step, tell }) => {
    const order: RepairRun = {
      repair: ownId(),
      run,
      normal,
      what: chosen,
      deletions: deletions === true,
      by: typeof by === 'string' ? by : null,
    };
    tell({ step: 'repairing', repair: order.repair });
    return step(() => runActivities(normal.taskQueues).repair(order));
  });
}
