import type { SyncFigures } from '../spec/status.js';
import { phase, type PhaseInput } from './phase.js';
import { bulkActivities } from './proxies.js';

/** Copies the rows, builds keys and indexes, and lets changes flow until the target has caught up. */
export async function initialSync(input: PhaseInput): Promise<{ sync: SyncFigures; lagMs: number }> {
  return phase(input, { stage: 'prepare', steps: ['initialSync'] }, async ({ control, move }) => {
    const bulk = bulkActivities(move().database.taskQueues);
    const sync = await control.step(() => bulk.initialSync(move()));
    const { lagMs } = await control.step(() => bulk.catchUp(move()));
    return { sync, lagMs };
  });
}
