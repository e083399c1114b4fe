/** What a migration and a shift alike do to a unit of traffic: each write is said before it is made, and known after it. */
import type { TrafficImage, TrafficMove, TrafficProof } from '../activities/traffic-contract.js';
import { BASELINE_WINDOW, type NormalMetricGate } from '../spec/gates.js';
import { seen } from '../spec/recent.js';
import { isTrigger } from '../spec/triggers.js';
import { consequenceOf, type GateVerdict, type JudgeAnswer, type JudgeState } from '../spec/verdict.js';
import { now, type Control } from './control.js';
import { describe, isFailureOfStep } from './problem.js';
import { lightActivities, trafficActivities } from './proxies.js';
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
  noteWeight(progress, weight, why, by);
  const wait = `waits ${Math.ceil(settlesInMs / 1_000)} s until no resolver holds the old records any more`;
  unit.note = settlesInMs === 0 ? null : wait;
  await wheel.tell();
  if (settlesInMs === 0) return;
  await control.sleep(() => settlesInMs);
  unit.note = null;
  await wheel.tell();
}

function noteWeight(progress: TrafficProgress, weight: number, why: string, by: string | null): void {
  Object.assign(progress, { weight, wanted: null, held: 0, verdicts: [], judged: ofTriggers(progress.judged) });
  if (weight > 0) progress.shiftBeganAt ??= Date.now();
  progress.log = [...progress.log, { at: now(), weight, why, by }].slice(-LOG_KEPT);
}

/** Each step begins its gates afresh; what triggers have seen goes on. */
function ofTriggers(judged: JudgeState | null): JudgeState | null {
  if (judged === null) return null;
  return { ...judged, gates: Object.fromEntries(Object.entries(judged.gates).filter(([name]) => isTrigger(name))) };
}

/** A write whose answer nobody has heard is made once more, so that it is known again what is there. */
export async function settleWeight(wheel: Wheel): Promise<void> {
  const { wanted } = progressOf(wheel);
  if (wanted !== null) await moveWeight(wheel, wanted, 'carried on', null);
}

/**
 * Down the steps of `undo`, so that a blue that is cold warms up: it must be healthy before each of them. What is left of the way
 * is `backToBlue`'s, which asks a person if blue isn't; and all of it where the last look found a breach, green isn't healthy, or it
 * isn't known which weight is there.
 */
export async function backInSteps(wheel: Wheel, why: string): Promise<void> {
  const { control, move } = wheel;
  const progress = progressOf(wheel);
  const { steps, hold } = move().traffic.undo ?? { steps: [], hold: 0 };
  if (progress.recent?.some(({ verdict }) => verdict === 'fail') === true) return;
  const change = { move: move(), image: imageOf(wheel) };
  for (const [index, weight] of steps.entries()) {
    if (progress.weight === null || progress.wanted !== null || weight >= progress.weight) continue;
    const blue = await control.step(() => activities(wheel).blueHealth(change));
    if (!blue.healthy) return;
    await moveWeight(wheel, weight, `${why}, step ${index + 1} of ${steps.length}`, null);
    for (let held = 0; held < hold; held += move().traffic.every) {
      const { healthy } = await control.step(() => activities(wheel).greenHealth(change));
      if (!healthy) return;
      await control.sleep(() => Math.min(move().traffic.every, hold - held));
    }
  }
}

/** Everybody back to blue, which must be healthy; green stays attached. */
export async function backToBlue(wheel: Wheel, why: string, by: string | null): Promise<void> {
  const { control, move } = wheel;
  const progress = progressOf(wheel);
  if (progress.weight === null && progress.wanted === null) return;
  const change = { move: move(), image: imageOf(wheel) };
  const { healthy, explanation } = await control.step(() => activities(wheel, 'back').blueHealth(change));
  if (!healthy) {
    throw failed('Blocked', `blue is not healthy, so the traffic stays where it is (${why}): ${explanation}`);
  }
  const isBack = progress.wanted === null && (await wroteZero(wheel, why, by));
  if (!isBack) {
    // What is there isn't known: one of two weights, so that writing the wanted one could give a bad green more; or what
    // somebody else has written, within which blue gets what both have.
    const { different } = await control.step(() => activities(wheel, 'back').undoShift(change));
    noteWeight(progress, 0, different === null ? why : `${why}; ${different}`, by);
    await wheel.tell();
  }
  Object.assign(progress, { ...TRAFFIC_AFRESH, verdicts: progress.verdicts });
}

/** False: it can't be written, since somebody else has changed what was written last. */
async function wroteZero(wheel: Wheel, why: string, by: string | null): Promise<boolean> {
  if (progressOf(wheel).weight === 0) return true;
  try {
    await moveWeight(wheel, 0, why, by);
    return true;
  } catch (error) {
    if (!isFailureOfStep(error) || describe(error).type !== 'TrafficChanged') throw error;
    return false;
  }
}

/** Fails with `TrafficChanged` where somebody else has changed what was written last. */
async function requireUnchanged(wheel: Wheel): Promise<void> {
  const { control, move } = wheel;
  const { weight } = progressOf(wheel);
  if (weight === null) return;
  const image = imageOf(wheel);
  await control.step(() => activities(wheel).setTraffic({ move: move(), image, from: weight, to: weight }));
}

/** What one look came to: evidence that all is well, no evidence, or a breach. */
export type Seen = { kind: 'well' | 'unknown'; why: string } | { kind: 'breach'; why: string; then: 'undo' | 'hold' };

/** Whether it is as written, whether the traffic follows, and how users fare by these gates. */
export async function lookAt(wheel: Wheel, gates: NormalMetricGate[]): Promise<Seen> {
  const progress = progressOf(wheel);
  await requireUnchanged(wheel);
  if (progress.weight === null || progress.weight === 0) return { kind: 'well', why: 'green has no traffic' };
  const proof = await prove(wheel);
  const asked = [...gates, ...(wheel.move().traffic.triggers ?? [])];
  const { gates: judged, state } = await ask(wheel, asked);
  progress.judged = state;
  progress.recent = seen(progress.recent, judged, asked);
  progress.verdicts = [proof.explanation, ...judged.filter(isTold).map(inWords)];
  const then = consequenceOf(judged);
  const failing = judged.filter(({ decision }) => decision === 'fail');
  if (then !== null) return { kind: 'breach', then, why: failing.map(({ explanation }) => explanation).join('; ') };
  const holding = judged.filter(holds).map(({ explanation }) => explanation);
  if (proof.verdict !== 'proven') return { kind: 'unknown', why: [proof.explanation, ...holding].join('; ') };
  return holding.length === 0 ? { kind: 'well', why: '' } : { kind: 'unknown', why: holding.join('; ') };
}

const inWords = ({ gate, explanation }: GateVerdict): string => `${gate}: ${explanation}`;

/** Nothing has to be proven to a trigger: it holds only what it finds in breach. */
const holds = ({ gate, decision, verdict }: GateVerdict): boolean =>
  decision === 'hold' && (!isTrigger(gate) || verdict === 'fail');

/** Of triggers, what is of interest: a breach, or that nobody can tell. */
const isTold = ({ gate, verdict }: GateVerdict): boolean => !isTrigger(gate) || verdict !== 'pass';

async function ask({ control, move, unit }: Wheel, gates: NormalMetricGate[]): Promise<JudgeAnswer> {
  const { traffic, migration } = move();
  const { judged, log, shiftBeganAt } = unit.traffic ?? { judged: null, log: [], shiftBeganAt: null };
  const at = Date.now();
  const began = shiftBeganAt ?? at;
  return control.step(() =>
    lightActivities(traffic.taskQueue).judge({
      migration,
      unit: unit.unit,
      gates,
      providers: control.state.normal?.metrics ?? [],
      subject: traffic.subject,
      at,
      since: Math.min(at, Date.parse(log.at(-1)?.at ?? now())),
      baseline: { from: began - BASELINE_WINDOW, to: began },
      state: judged,
    }),
  );
}

/** What the data plane shows of the weight that was written last. */
async function prove(wheel: Wheel): Promise<TrafficProof> {
  const { control, move } = wheel;
  const { weight, log } = progressOf(wheel);
  const sinceMs = Math.max(0, Date.now() - Date.parse(log.at(-1)?.at ?? now()));
  const image = imageOf(wheel);
  return control.step(() => activities(wheel).proveTraffic({ move: move(), image, weight: weight ?? 0, sinceMs }));
}

export function activities({ move }: Wheel, direction?: 'back'): ReturnType<typeof trafficActivities> {
  return trafficActivities(move().traffic.taskQueue, direction);
}
