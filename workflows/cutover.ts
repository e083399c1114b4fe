import { ApplicationFailure, patched, sleep } from '@temporalio/workflow';
import type { SwitchOutcome } from '../activities/contract.js';
import { opensIn } from './opening.js';
import { phase, type Phase, type PhaseInput } from './phase.js';
import { describe, isFailureOfStep } from './problem.js';
import { bulkActivities, switchActivities } from './proxies.js';
import { brokenRules, unprovenRules } from './rules.js';

export type CutoverInput = PhaseInput & {
  /** Attempts before this turn; people count them through. */
  attemptsBefore?: number;
};

export type Switched = Extract<SwitchOutcome, { kind: 'switched' }>;

/** Moves the writes of one database to its target; undone, moves them back without loss. */
export async function cutover(input: CutoverInput): Promise<Switched> {
  return phase(input, { stage: 'switch', steps: ['switchWrites'] }, async (cutting) => {
    const { control, move, note } = cutting;
    const databases = switchActivities(move().database.taskQueues);
    let reason = 'no attempt was allowed';
    for (let attempt = 1; attempt <= move().database.cutover.attempts; attempt += 1) {
      await withinWindow(cutting);
      if (attempt === 1) await stillSound(cutting);
      await control.checkpoint(); // pause and abort end here; what follows ends by itself
      const outcome = await onceStandbysKnow(cutting, () =>
        databases.switchWrites({
          move: move(),
          direction: 'forward',
          mode: 'switch',
          attempt: (input.attemptsBefore ?? 0) + attempt,
        }),
      );
      if (outcome.kind === 'switched') return outcome; // from here on, back only by another switch
      reason = outcome.kind === 'not-now' ? outcome.reason : 'it was only rehearsed';
      note(`attempt ${attempt} of ${move().database.cutover.attempts} undid itself: ${reason}`);
      if (attempt < move().database.cutover.attempts) {
        await control.sleep(() => move().database.cutover.waitBetweenAttempts);
      }
    }
    throw notInTheseAttempts(move().database.cutover.attempts, reason);
  });
}

/** What was proven before an approval may be days old: references and rules of the user's own are asked once more. */
async function stillSound({ control, move }: Phase): Promise<void> {
  const bulk = bulkActivities(move().database.taskQueues);
  if (patched('references')) await control.step(() => bulk.checkReferences(move()));
  if (move().database.validation.rules === undefined || !patched('business-rules-at-switch')) return;
  const rules = await control.step(() => bulk.checkRules(move()));
  const inTheWay = brokenRules({ rules }) ?? unprovenRules({ rules });
  if (inTheWay !== null)
    throw ApplicationFailure.create({ type: 'ValidationDiffers', message: inTheWay, nonRetryable: true });
}

/**
 * Past the point of no return, with both sides closed: whatever is paused or asked for meanwhile, it goes on until it is
 * through. Each turn takes the settings of now, so that an operator's word on a standby counts at once.
 */
export async function onceStandbysKnow<T>({ note }: Phase, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isFailureOfStep(error) || describe(error).type !== 'StandbyBehind') throw error;
      note(describe(error).message);
      await sleep(STANDBY_PAUSE_MS);
    }
  }
}

const STANDBY_PAUSE_MS = 1_000;

/** An attempt begins inside the window only; a `set` of the window counts at once. */
async function withinWindow({ control, move, note }: Phase): Promise<void> {
  const closedFor = (at: number): number => opensIn(move().database.cutover.window, at);
  let at = Date.now();
  if (closedFor(at) === 0) return;
  note(`waits for its window, which opens at ${new Date(at + closedFor(at)).toISOString()}`);
  // The clock may stand still where a timer has told the time (see Control).
  while (closedFor(at) > 0) at = Math.max(at + (await control.doze(closedFor(at))), Date.now());
  note(null);
}

function notInTheseAttempts(attempts: number, reason: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'Blocked',
    message: `none of ${attempts} attempts could switch, and each undid itself; the last: ${reason}`,
    nonRetryable: true,
  });
}
