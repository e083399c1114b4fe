import type { SwitchFigures } from '../spec/status.js';
import { onceStandbysKnow } from './cutover.js';
import { phase, type PhaseInput } from './phase.js';
import { switchActivities } from './proxies.js';

export interface RolledBack {
  /** Null: the writes were on the source already. */
  figures: SwitchFigures | null;
}

/**
 * Moves the writes of one database back to its source, and keeps replicating to the target. Tries until it works: an
 * attempt that isn't possible now undoes itself, and the writes stay on the target meanwhile.
 */
export async function rollback(input: PhaseInput): Promise<RolledBack> {
  return phase(input, { stage: 'switch', steps: [] }, async (going) => {
    const { control, move, note } = going;
    const databases = switchActivities(move().database.taskQueues);
    // A switch that was killed half-way is first brought to one side.
    const { primary } = await onceStandbysKnow(going, () => databases.settle(move()));
    if (primary === 'source') return { figures: null };
    for (let attempt = 1; ; attempt += 1) {
      await control.checkpoint();
      const outcome = await onceStandbysKnow(going, () =>
        databases.switchWrites({ move: move(), direction: 'back', mode: 'switch', attempt }),
      );
      if (outcome.kind === 'switched') return { figures: outcome.figures };
      if (outcome.kind === 'not-now')
        note(`attempt ${attempt} to move the writes back undid itself: ${outcome.reason}`);
      await control.sleep(() => move().database.cutover.waitBetweenAttempts);
    }
  });
}
