/** The days after the switch, while the way back stays open: looks at a rhythm, and validates at a slower one. */
import type { Observation } from '../activities/contract.js';
import type { Milliseconds, NormalDatabase } from '../spec/normal.js';
import { now } from './control.js';
import { Interrupted } from './interrupted.js';
import { describe, isFailureOfStep } from './problem.js';
import { lightActivities } from './proxies.js';
import type { UnitProgress } from './state.js';
import { atOnce, child, moveOfUnit, type Trip } from './trip.js';
import { validation } from './validation.js';

/** One bad look may be an apply worker that is just restarting; two in a row are a fact. */
const BAD_LOOKS = 2;

/**
 * Looks until `isDone`. What is wrong holds, as `needs-attention`, and goes by itself when a later look finds it well;
 * or it rolls back, where the specification says so. `rest` runs after each look, when no child is open.
 */
export async function watchUntil(trip: Trip, isDone: () => boolean, rest: () => Promise<void>): Promise<void> {
  const { control, state } = trip;
  while (!isDone()) {
    const slept = await control.doze(untilNextLook(trip));
    for (const unit of state.units) {
      unit.sinceLook += slept;
      unit.sinceValidation += slept;
    }
    await atOnce(state.units, (unit) => look(trip, unit));
    await control.checkpoint();
    await rest();
  }
}

export function watchedLongEnough(trip: Trip): boolean {
  return trip.state.units.every((unit) => unit.problem === null && unit.watched >= rhythm(trip, unit).for);
}

function rhythm(trip: Trip, unit: UnitProgress): NormalDatabase['watch'] {
  return moveOfUnit(trip, unit).database.watch;
}

/** At least 1 ms, so that a clock that stands still can't make a busy loop. */
function untilNextLook(trip: Trip): Milliseconds {
  const waits = trip.state.units.map((unit) => {
    const { every, for: whole } = rhythm(trip, unit);
    if (unit.lookNow) return 0;
    const left = whole - unit.watched;
    return (left > 0 ? Math.min(every, left) : every) - unit.sinceLook;
  });
  return Math.max(1, ...(waits.length === 0 ? [] : [Math.min(...waits)]));
}

async function look(trip: Trip, unit: UnitProgress): Promise<void> {
  const { every, for: whole, validateEvery } = rhythm(trip, unit);
  const left = whole - unit.watched;
  if (!unit.lookNow && unit.sinceLook < (left > 0 ? Math.min(every, left) : every)) return;
  const wasWell = unit.healthy && unit.problem === null;
  const between = unit.sinceLook;
  Object.assign(unit, { sinceLook: 0, lookNow: false });
  const seen = await evidence(trip, unit);
  unit.healthy = seen !== null && wrong(seen).length === 0;
  if (seen !== null) judge(trip, unit, seen);
  // No evidence is not good evidence: time in which nothing could be seen isn't watched time.
  if (wasWell && unit.healthy) unit.watched += between;
  const due = unit.validateNow || (validateEvery !== null && unit.sinceValidation >= validateEvery);
  if (unit.healthy && unit.problem === null && due) await validate(trip, unit);
}

/** Null when neither good nor bad could be seen. */
async function evidence(trip: Trip, unit: UnitProgress): Promise<Observation | null> {
  const move = moveOfUnit(trip, unit);
  try {
    const seen = await trip.control.step(() => lightActivities(move.database.taskQueues.light).observe(move));
    unit.lagMs = seen.lagMs;
    unit.note = null;
    return seen;
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    unit.note = `could not be looked at, so this time doesn't count as watched: ${describe(error).message}`;
    return null;
  }
}

function wrong({ primary, problems }: Observation): string[] {
  return primary === 'target'
    ? problems
    : [`the writes are not on the target but ${primary ?? 'nowhere known'}`, ...problems];
}

function judge(trip: Trip, unit: UnitProgress, seen: Observation): void {
  const found = wrong(seen);
  if (found.length === 0) {
    unit.badLooks = 0;
    if (unit.problem?.type === 'ReplicationBroken') unit.problem = null;
    return;
  }
  unit.badLooks += 1;
  if (unit.badLooks < BAD_LOOKS || unit.problem !== null) return;
  const message = found.join('; ');
  if (rhythm(trip, unit).onFailure === 'undo') {
    trip.control.receive('rollback', { by: 'watch.onFailure', reason: message });
    return;
  }
  const next = 'The target takes the writes. It goes on by itself once a look finds it well; or `rollback`';
  unit.problem = { type: 'ReplicationBroken', message, next, at: now() };
}

/**
 * A difference always holds, also where `onFailure` says undo: the primary is right by definition, so going back to a
 * side that differs from it would lose what was acknowledged.
 */
async function validate(trip: Trip, unit: UnitProgress): Promise<void> {
  Object.assign(unit, { sinceValidation: 0, validateNow: false });
  try {
    const certificate = await child(trip, unit, validation);
    unit.certificate = certificate;
    if (certificate.verdict === 'equal') return;
    const message = `validation ${certificate.id} says ${certificate.verdict}: ${certificate.differences} differences`;
    const next =
      'The target takes the writes, and the way back would lose them. Find the cause, then `retry` validates again';
    unit.problem = { type: 'ValidationDiffers', message, next, at: now() };
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    unit.note = `could not be validated: ${describe(error).message}`;
  } finally {
    unit.phase = 'watch';
  }
}
