/** What a migration and a shift alike do to a unit of traffic: each write is said before it is made, and known after it. */
import type { TrafficImage, TrafficMove, TrafficProof } from '../activities/traffic-contract.js';
import { now, type Control } from './control.js';
import { trafficActivities } from './proxies.js';
import { TRAFFIC_AFRESH, type TrafficProgress, type UnitProgress } from './state.js';
import { failed } from './trip.js';

/** Weights that are kept for people. */
const LOG_KEPT = 50;

/** One unit of traffic, in the hands of its migration or of a shift. */
export interface Wheel {
  control: Control;
  unit: UnitProgress;
  /** As the settings are now. */
  move: () => TrafficMove;
  /** Lets whoever watches know how far it is. */
  tell: () => Promise<void>;
}

export function progressOf({ unit }: Wheel): TrafficProgress {
  if (unit.traffic === undefined) throw failed('Unexpected', `${unit.unit} moves no traffic`);
  return unit.traffic;
}

export function imageOf(wheel: Wheel): TrafficImage {
  const { image } = progressOf(wheel);
  if (image === null) throw failed('Unexpected', `nothing is known of ${wheel.unit.unit} yet`);
  return image;
}

/** Before anything is written: all that will be, as it is now. */
export async function capture(wheel: Wheel): Promise<void> {
  const progress = progressOf(wheel);
  progress.image ??= await wheel.control.step(() => activities(wheel).captureTraffic(wheel.move()));
  await wheel.tell();
}

/** Green is there with no traffic, and healthy. Its undo entry must have been written before. */
export async function attachGreen(wheel: Wheel): Promise<void> {
  const { control, move, unit } = wheel;
  const change = { move: move(), image: imageOf(wheel) };
  await control.step(() => activities(wheel).lockTraffic(change));
  await control.step(() => activities(wheel).prepareGreen(change));
  if (progressOf(wheel).weight === null) await moveWeight(wheel, 0, 'green attached', null);
  let waited = 0;
  for (;;) {
    const { healthy, explanation } = await control.step(() => activities(wheel).greenHealth(change));
    unit.note = healthy ? null : `waits for green: ${explanation}`;
    if (healthy) break;
    const { every, stall } = move().traffic;
    if (waited >= stall) throw failed('Blocked', `green did not become healthy: ${explanation}`);
    await control.sleep(() => every);
    waited += every;
  }
  await wheel.tell();
}

/** Writes a weight, and waits until nobody can still be told the old one. */
export async function moveWeight(wheel: Wheel, weight: number, why: string, by: string | null): Promise<void> {
  const { control, move, unit } = wheel;
  const progress = progressOf(wheel);
  // Said before: whoever carries on after this run was ended knows what may be there.
  progress.wanted = weight;
  await wheel.tell();
  const { settlesInMs } = await control.step(() =>
    activities(wheel).setTraffic({ move: move(), image: imageOf(wheel), from: progress.weight, to: weight }),
  );
  Object.assign(progress, { weight, wanted: null, held: 0, verdicts: [] });
  progress.log = [...progress.log, { at: now(), weight, why, by }].slice(-LOG_KEPT);
  await wheel.tell();
  if (settlesInMs === 0) return;
  unit.note = `waits ${Math.ceil(settlesInMs / 1_000)} s until no resolver holds the old records any more`;
  await control.sleep(() => settlesInMs);
  unit.note = null;
}

/** A write whose answer nobody has heard is made once more, so that it is known again what is there. */
export async function settleWeight(wheel: Wheel): Promise<void> {
  const { wanted } = progressOf(wheel);
  if (wanted !== null) await moveWeight(wheel, wanted, 'carried on', null);
}

/** Everybody back to blue, which must be healthy; green stays attached. */
export async function backToBlue(wheel: Wheel, why: string, by: string | null): Promise<void> {
  const { control, move } = wheel;
  const progress = progressOf(wheel);
  if (progress.weight === null && progress.wanted === null) return;
  const change = { move: move(), image: imageOf(wheel) };
  const { healthy, explanation } = await control.step(() => activities(wheel).blueHealth(change));
  if (!healthy) {
    throw failed('Blocked', `blue is not healthy, so the traffic stays where it is (${why}): ${explanation}`);
  }
  if (progress.wanted !== null) await settleWeight(wheel);
  if (progress.weight !== 0) await moveWeight(wheel, 0, why, by);
  Object.assign(progress, { ...TRAFFIC_AFRESH, verdicts: progress.verdicts });
}

/** Fails with `TrafficChanged` where somebody else has changed what was written last. */
export async function requireUnchanged(wheel: Wheel): Promise<void> {
  const { control, move } = wheel;
  const { weight } = progressOf(wheel);
  if (weight === null) return;
  const image = imageOf(wheel);
  await control.step(() => activities(wheel).setTraffic({ move: move(), image, from: weight, to: weight }));
}

/** What the data plane shows of the weight that was written last. */
export async function prove(wheel: Wheel): Promise<TrafficProof> {
  const { control, move } = wheel;
  const { weight, log } = progressOf(wheel);
  const sinceMs = Math.max(0, Date.now() - Date.parse(log.at(-1)?.at ?? now()));
  const image = imageOf(wheel);
  return control.step(() => activities(wheel).proveTraffic({ move: move(), image, weight: weight ?? 0, sinceMs }));
}

export function activities({ move }: Wheel): ReturnType<typeof trafficActivities> {
  return trafficActivities(move().traffic.taskQueue);
}
