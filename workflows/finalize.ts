import { phase, type PhaseInput } from './phase.js';
import { bulkActivities } from './proxies.js';

/** Ends the replication back and gives the tables free. No way back: an abort is refused from here on. */
export async function finalize(input: PhaseInput): Promise<void> {
  return phase(input, { stage: 'finalize', steps: [] }, async ({ control, move }) => {
    await control.checkpoint();
    control.state.finalizing = true;
    control.touched();
    const bulk = bulkActivities(move().database.taskQueues);
    await control.step(() => bulk.finalizeDatabase(move()));
  });
}
