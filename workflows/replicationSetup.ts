import { phase, type PhaseInput } from './phase.js';
import { bulkActivities, lightActivities } from './proxies.js';

/** Takes the tables, makes or compares the schema, raises the fences (source open, target closed), publishes. */
export async function replicationSetup(input: PhaseInput): Promise<{ tables: number; created: number }> {
  const steps = ['claim', 'prepareSchema', 'installFence', 'createPublication'] as const;
  return phase(input, { stage: 'prepare', steps: [...steps] }, async ({ control, move }) => {
    const light = lightActivities(move().database.taskQueues.light);
    const bulk = bulkActivities(move().database.taskQueues);
    const { tables } = await control.step(() => light.claim(move()));
    const { created } = await control.step(() => bulk.prepareSchema(move()));
    await control.step(() => bulk.installFence(move()));
    await control.step(() => light.createPublication(move()));
    return { tables, created };
  });
}
