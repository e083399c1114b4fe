/** The days after the switch, while the way back stays open: looks at a rhythm, and validates at a slower one. */
import { patched } from '@temporalio/workflow';
import type { Observation } from '../activities/contract.js';
import { lookoutOf, type Milliseconds, type NormalDatabase } from '../spec/normal.js';
import { observed } from '../spec/recent.js';
import { now } from './control.js';
import { Interrupted } from './interrupted.js';
import { judge, type Concern } from './judgement.js';
import { areWell } from './probation.js';
import { describe, isFailureOfStep } from './problem.js';
import { lightActivities, switchActivities } from './proxies.js';
import { brokenRules, unprovenRules } from './rules.js';
import type { UnitProgress } from './state.js';
import { watchTraffic } from './traffic-stages.js';
import { atOnce, child, isTraffic, moveOfUnit, trafficMoveOfUnit, type Trip } from './trip.js';
import { validation } from './validation.js';

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
  return trip.state.units.every(
    (unit) => unit.problem === null && (unit.wayBack === 'given-up' || unit.watched >= rhythm(trip, unit).for),
  );
}

function rhythm(trip: Trip, unit: UnitProgress): Omit<NormalDatabase['watch'], 'onFailure'> {
  if (isTraffic(unit)) return { ...trafficMoveOfUnit(trip, unit).traffic.watch, validateEvery: null };
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
  if (unit.remedyNow && !isTraffic(unit)) await remedy(trip, unit);
  const wasWell = unit.healthy && unit.problem === null;
  const between = unit.sinceLook;
  Object.assign(unit, { sinceLook: 0, lookNow: false });
  unit.healthy = isTraffic(unit) ? await watchTraffic(trip, unit) : await databaseIsWell(trip, unit, between);
  // No evidence is not good evidence: time in which nothing could be seen isn't watched time.
  if (wasWell && unit.healthy) unit.watched += between;
  const due = unit.validateNow || (validateEvery !== null && unit.sinceValidation >= validateEvery);
  if (unit.healthy && unit.problem === null && due) await validate(trip, unit);
}

async function databaseIsWell(trip: Trip, unit: UnitProgress, since: Milliseconds): Promise<boolean> {
  const seen = await evidence(trip, unit);
  const sound = seen !== null && (await isWell(trip, unit, seen, since));
  return (await areWell(trip, unit, rhythm(trip, unit).gates ?? [], 'watch.gates')) && sound;
}

/** What a person's `retry` agreed to. What can't be done is a problem again. */
async function remedy(trip: Trip, unit: UnitProgress): Promise<void> {
  const move = moveOfUnit(trip, unit);
  const agreed = unit.remedy;
  Object.assign(unit, { remedyNow: false, remedy: 'none' });
  try {
    if (agreed === 'adopt') {
      await trip.control.step(() => lightActivities(move.database.taskQueues.light).adoptShape(move));
      unit.validateNow = true;
    } else if (agreed === 'accept-failover') {
      await switchActivities(move.database.taskQueues).acceptFailover(move);
      unit.validateNow = true;
    } else if (agreed === 'resync') {
      unit.wayBack = 'given-up';
      // A look that was under way when the person agreed has found the same again, and no later one would end it.
      if (unit.problem?.type === 'ReplicationBroken' && patched('given-up-once')) unit.problem = null;
    }
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    unit.problem = { ...describe(error), next: 'The target takes the writes. Mend that, then `retry`', at: now() };
    unit.remedy = agreed;
  }
}

/** Null when neither good nor bad could be seen. */
async function evidence(trip: Trip, unit: UnitProgress): Promise<Observation | null> {
  const move = moveOfUnit(trip, unit);
  try {
    const seen = await trip.control.step(() => lightActivities(move.database.taskQueues.light).observe(move));
    unit.lagMs = seen.lagMs;
    unit.recent = observed(unit.recent, 'lag', 'ms', seen.lagMs);
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

async function isWell(trip: Trip, unit: UnitProgress, seen: Observation, since: Milliseconds): Promise<boolean> {
  // What a person has given up is not looked for any more.
  if (unit.wayBack === 'given-up') return true;
  const { database } = moveOfUnit(trip, unit);
  const found = wrong(seen);
  const before = { ...unit.memory, badLooks: Math.max(unit.memory.badLooks, unit.badLooks) };
  const { memory, concern, warnings } = judge({ ...seen, problems: found }, before, since, database);
  Object.assign(unit, { memory, warnings, badLooks: memory.badLooks });
  if (concern === null) {
    if (memory.badLooks === 0 && unit.problem !== null && !OF_OTHERS.includes(unit.problem.type)) unit.problem = null;
    return memory.badLooks === 0;
  }
  await raise(trip, unit, concern);
  return false;
}

/** Problems that a look at the databases doesn't end. */
const OF_OTHERS = ['ValidationDiffers', 'GateFailed'];

/** Only what another look might see differently is undone by itself: the rest is for a person to decide. */
async function raise(trip: Trip, unit: UnitProgress, concern: Concern): Promise<void> {
  const move = moveOfUnit(trip, unit);
  if (concern.remedy === 'give-up-first' && lookoutOf(move.database).onLimit === 'drop') {
    await trip.control.step(() => lightActivities(move.database.taskQueues.light).giveUpSlot(move));
  }
  if (concern.remedy === 'resync') unit.wayBack = 'lost';
  if (unit.problem?.type === concern.type && unit.remedy === concern.remedy) return;
  if (concern.remedy === 'none') {
    if (unit.problem !== null) return;
    if (move.database.watch.onFailure === 'undo') {
      trip.control.goBack('watch.onFailure', concern.message);
      return;
    }
  }
  const next =
    concern.remedy === 'none'
      ? 'The target takes the writes. It goes on by itself once a look finds it well; or `rollback`'
      : concern.next;
  unit.problem = { type: concern.type, message: concern.message, next, at: now() };
  unit.remedy = concern.remedy;
}

/**
 * A difference always holds, also where `onFailure` says undo: the primary is right by definition, so going back to a
 * side that differs from it would lose what was acknowledged. A broken rule does, too: both sides have the same rows, so
 * that going back mends nothing.
 */
async function validate(trip: Trip, unit: UnitProgress): Promise<void> {
  Object.assign(unit, { sinceValidation: 0, validateNow: false });
  try {
    const certificate = await child(trip, unit, validation);
    unit.certificate = certificate;
    const broken = brokenRules(certificate);
    if (certificate.verdict !== 'equal') {
      const message = `validation ${certificate.id} says ${certificate.verdict}: ${certificate.differences} differences`;
      const next =
        'The target takes the writes, and the way back would lose them. Find the cause, then `retry` validates again';
      unit.problem = { type: 'ValidationDiffers', message, next, at: now() };
    } else if (broken !== null) {
      const next =
        'The target takes the writes, and its rows are those of the source. Mend them, then `retry` asks again';
      unit.problem = { type: 'ValidationDiffers', message: broken, next, at: now() };
    } else unit.note = unprovenRules(certificate);
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    const { type, message } = describe(error);
    if (type === 'ValidationDiffers') {
      unit.problem = { type, message, next: 'The target takes the writes. `retry` validates again', at: now() };
    } else unit.note = `could not be validated: ${message}`;
  } finally {
    unit.phase = 'watch';
  }
}
