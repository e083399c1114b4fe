/** The cutover up to its point of no return, under the real load, undone at once. Run wherever the migration waits. */
import { Interrupted } from './interrupted.js';
import { describe, isFailureOfStep } from './problem.js';
import { switchActivities } from './proxies.js';
import type { UnitProgress } from './state.js';
import { moveOfUnit, type Trip } from './trip.js';

/** Waits until `isSo`, and rehearses meanwhile what is asked for. */
export async function waitRehearsing(trip: Trip, isSo: () => boolean): Promise<void> {
  for (;;) {
    await trip.control.waitFor(() => isSo() || ready(trip) !== undefined);
    // Both may be true; what was asked for first is rehearsed before the gate lets the switch begin.
    if (!(await rehearseOne(trip))) break;
  }
  await trip.control.waitFor(() => !trip.state.units.some(({ phase }) => phase === REHEARSAL));
}

const REHEARSAL = 'rehearsal';

function ready({ state }: Trip): UnitProgress | undefined {
  return state.units.find((unit) => canRehearse(unit) && state.rehearsals.some((asked) => asked.unit === unit.unit));
}

function canRehearse({ prepared, switchBegan, problem, phase, traffic }: UnitProgress): boolean {
  return traffic === undefined && prepared && !switchBegan && problem === null && phase !== REHEARSAL;
}

/** False: none was asked for. */
async function rehearseOne(trip: Trip): Promise<boolean> {
  const { control, state } = trip;
  const unit = ready(trip);
  const asked = state.rehearsals.find((one) => one.unit === unit?.unit);
  if (unit === undefined || asked === undefined) return false;
  state.rehearsals = state.rehearsals.filter((one) => one !== asked);
  const before = unit.phase;
  unit.phase = REHEARSAL;
  control.touched();
  try {
    control.concludeMessage(asked.record, `accepted; ${await rehearse(trip, unit)}`);
  } finally {
    unit.phase = before;
    control.touched();
  }
  return true;
}

async function rehearse(trip: Trip, unit: UnitProgress): Promise<string> {
  const move = moveOfUnit(trip, unit);
  const databases = switchActivities(move.database.taskQueues);
  try {
    const outcome = await databases.switchWrites({
      move,
      direction: 'forward',
      mode: 'rehearse',
      attempt: unit.attempts,
    });
    if (outcome.kind === 'not-now') return `${unit.unit} could not be rehearsed now: ${outcome.reason}`;
    unit.rehearsal = outcome.figures;
    return `${unit.unit} rehearsed: writes paused for ${Math.round(outcome.figures.pauseMs)} ms`;
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    // A rehearsal that died half-way may have left a fence; the lease would end it, and this does at once.
    await trip.control.attempt(unit, () => databases.settle(move));
    return `${unit.unit} could not be rehearsed: ${describe(error).message}`;
  }
}
