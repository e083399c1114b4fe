import { CancellationScope, patched } from '@temporalio/workflow';
import type { SyncFigures } from '../spec/status.js';
import { phase, type Phase, type PhaseInput } from './phase.js';
import { bulkActivities, snapshotActivities } from './proxies.js';

/** Copies the rows, builds keys and indexes, and lets changes flow until the target has caught up. */
export async function initialSync(input: PhaseInput): Promise<{ sync: SyncFigures; lagMs: number }> {
  return phase(input, { stage: 'prepare', steps: ['initialSync'] }, async (running) => {
    const { control, move } = running;
    const bulk = bulkActivities(move().database.taskQueues);
    const sync = patched('snapshot-holder')
      ? await copied(running)
      : await control.step(() => bulk.initialSync(move()));
    const { lagMs } = await control.step(() => bulk.catchUp(move()));
    return { sync, lagMs };
  });
}

/**
 * The holder of the snapshot stays while copiers come and go: a pause, a new setting or a dead worker costs them the ranges
 * that they are at, and no more.
 */
async function copied({ control, move }: Phase): Promise<SyncFigures> {
  const { taskQueues } = move().database;
  const bulk = bulkActivities(taskQueues);
  const holding = new CancellationScope();
  let copying = new CancellationScope();
  const losses: unknown[] = [];
  const held = holding
    .run(() => snapshotActivities(taskQueues).holdSnapshot(move()))
    .catch((error: unknown) => {
      losses.push(error);
      copying.cancel();
    });
  const requireHolder = (): void => {
    if (losses.length > 0) throw losses[0];
  };
  try {
    await control.step(async () => {
      requireHolder();
      copying = new CancellationScope();
      const copiers = Array.from({ length: move().database.copy.workers ?? 1 }, (_, copier) => copier);
      try {
        await copying.run(() => Promise.all(copiers.map((copier) => bulk.copyRanges({ move: move(), copier }))));
      } catch (error) {
        requireHolder();
        throw error;
      }
    });
  } finally {
    holding.cancel();
    await held;
  }
  return control.step(() => bulk.finishSync(move()));
}
