/** The stages of a unit of traffic, as its migration goes through them. */
import type { UndoRecord } from '../spec/undo.js';
import type { UnitRef } from '../spec/units.js';
import { certificate, certificateOf, haveCertificate } from './certificate.js';
import { now } from './control.js';
import { Interrupted } from './interrupted.js';
import { describe, isFailureOfStep } from './problem.js';
import { ofTraffic } from './saga.js';
import { TRAFFIC_AFRESH, WATCH_AFRESH, type TrafficProgress, type UnitProgress } from './state.js';
import { trafficShift } from './trafficShift.js';
import {
  activities,
  attachGreen,
  backInSteps,
  backToBlue,
  capture,
  imageOf,
  lookAt,
  progressOf,
  type Wheel,
} from './traffic.js';
import { child, enter, trafficMoveOfUnit, type Trip } from './trip.js';
import { UNDO, type UndoneStep } from './undo-steps.js';

function wheelOf(trip: Trip, unit: UnitProgress): Wheel {
  const { control } = trip;
  const tell = (): Promise<void> => Promise.resolve(control.touched());
  return { control, unit, move: () => trafficMoveOfUnit(trip, unit), tell };
}

/** Green attached with no traffic, healthy; TTLs lowered and waited out. */
export async function prepareTraffic(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control, saga } = trip;
  enter(trip, unit, 'prepare', 'attachGreen');
  const wheel = wheelOf(trip, unit);
  await control.attempt(unit, () => capture(wheel));
  if (certificateOf(wheel) !== null) {
    enter(trip, unit, 'prepare', certificate.name);
    await control.attempt(unit, () => haveCertificate(wheel, saga));
    enter(trip, unit, 'prepare', 'attachGreen');
  }
  saga.record(ofTraffic(wheel.move(), imageOf(wheel)), 'attachGreen');
  await control.attempt(unit, () => attachGreen(wheel));
  Object.assign(unit, { prepared: true, state: 'done' });
  control.touched();
}

/** All steps; a breach takes everything back that was switched, the databases too. */
export async function shiftTraffic(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control, saga, state } = trip;
  const wheel = wheelOf(trip, unit);
  const progress = progressOf(wheel);
  saga.record(ofTraffic(wheel.move(), imageOf(wheel)), 'shiftTraffic');
  unit.switchBegan = true;
  enter(trip, unit, 'switch', trafficShift.name);
  const outcome = await control.attempt(unit, () => {
    const traffic = { ...progress };
    progress.hand = null;
    return child(trip, unit, trafficShift, { traffic, gates: state.gates });
  });
  if (outcome.kind === 'breached') {
    control.goBack(`the gates of ${unit.unit}`, outcome.why);
    return control.checkpoint();
  }
  Object.assign(unit, { primary: 'target', state: 'done' });
  control.touched();
}

/** @param urgent users fare badly: at once, whatever steps there are */
export async function rollTrafficBack(trip: Trip, unit: UnitProgress, urgent: boolean): Promise<void> {
  const { control } = trip;
  const wheel = wheelOf(trip, unit);
  await control.attempt(unit, async () => {
    if (!urgent) await backInSteps(wheel, 'rolled back');
    await backToBlue(wheel, 'rolled back', null);
  });
  const gone = { primary: 'source', switchBegan: false, state: 'pending', phase: 'rolled-back' } as const;
  Object.assign(unit, { ...gone, ...WATCH_AFRESH });
  Object.assign(progressOf(wheel), TRAFFIC_AFRESH);
  control.touched();
}

/** Where the traffic is known to be once the undo log has been worked through, as far as that went. */
export function trafficAfterUndo(unit: UnitRef, log: UndoRecord[]): Partial<TrafficProgress> {
  const isUndone = (step: UndoneStep): boolean =>
    log.some((entry) => entry.unit === unit && entry.activity === UNDO[step].activity && entry.state === 'done');
  if (isUndone('attachGreen')) return { ...TRAFFIC_AFRESH, verdicts: [], weight: null };
  return isUndone('shiftTraffic') ? { weight: 0, wanted: null } : {};
}

/** One look of the watch; true: all is well. What is wrong holds, or goes back, as the specification says. */
export async function watchTraffic(trip: Trip, unit: UnitProgress): Promise<boolean> {
  const wheel = wheelOf(trip, unit);
  const raise = (type: string, message: string, next: string): void => {
    if (unit.problem?.type !== type) unit.problem = { type, message, next, at: now() };
  };
  try {
    const seen = await lookAt(wheel, wheel.move().traffic.watch.gates);
    unit.note = seen.kind === 'unknown' ? `this time doesn't count as watched: ${seen.why}` : null;
    if (seen.kind === 'breach' && seen.then === 'undo') {
      trip.control.goBack(`the gates of ${unit.unit}`, seen.why);
    } else if (seen.kind === 'breach') {
      raise(
        'TrafficBreached',
        seen.why,
        'All traffic is at green. It goes on once a look finds it well; or `rollback`',
      );
    } else unit.problem = null;
    return seen.kind === 'well';
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    const { type, message } = describe(error);
    if (type === 'TrafficChanged') {
      raise(type, message, 'Put it back, or agree with whoever changed it; it goes on by itself once it is as it was');
    } else unit.note = `could not be looked at, so this time doesn't count as watched: ${message}`;
    return false;
  }
}

/** Once nobody sticks to blue any more. */
export async function finalizeTraffic(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control } = trip;
  const wheel = wheelOf(trip, unit);
  for (;;) {
    const { log } = progressOf(wheel);
    const sinceMs = Math.max(0, Date.now() - Date.parse(log.at(-1)?.at ?? now()));
    const change = { move: wheel.move(), image: imageOf(wheel), sinceMs };
    const { detached, settlesInMs } = await control.step(() => activities(wheel).finalizeTraffic(change));
    unit.note = detached ? null : `waits ${Math.ceil(settlesInMs / 1_000)} s until no client sticks to blue any more`;
    if (detached) return;
    await control.sleep(() => settlesInMs);
  }
}
