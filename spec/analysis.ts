/** What `analyze` judges and answers: one look at the gates of a specification, without moving anything. Pure. */
import type { NormalMetricGate } from './gates.js';
import type { Milliseconds, NormalMigration } from './normal.js';
import type { NormalTraffic } from './normal-traffic.js';
import { parsed, unreadable, type Parsed } from './parsed.js';
import { didYouMean } from './spelling.js';
import { isTrigger } from './triggers.js';
import type { UnitRef } from './units.js';
import { overallOf, type Decision, type GateVerdict, type Subject } from './verdict.js';

export interface Analysis {
  overall: Decision;
  /** When it was looked, and from when on something was evidence; ISO 8601. */
  at: string;
  since: string;
  places: JudgedPlace[];
}

/** One list of gates. */
export interface JudgedPlace {
  unit: UnitRef;
  /** As in the file, below the unit: `watch.gates`; of steps with their weights: `steps 10, 25 %`. */
  place: string;
  verdicts: GateVerdict[];
}

export function analysisOf(at: number, since: number, places: JudgedPlace[]): Analysis {
  return {
    overall: overallOf(places.flatMap(({ verdicts }) => verdicts).filter(isOfWeight)),
    at: new Date(at).toISOString(),
    since: new Date(since).toISOString(),
    places,
  };
}

/** Nothing has to be proven to a trigger. */
const isOfWeight = ({ gate, decision }: GateVerdict): boolean => !isTrigger(gate) || decision !== 'hold';

/** What is asked about; null: all of it. */
export interface Choice {
  unit: string | null;
  /** Percent: of units of traffic the gates of this step alone. */
  step: number | null;
}

/** One list of gates, and of whom it is asked. */
export interface GatesToJudge {
  unit: UnitRef;
  place: string;
  gates: NormalMetricGate[];
  subject: Subject;
  /** Null: of the workflow itself. */
  taskQueue: string | null;
}

/** Behind a database nothing else serves, and no labels tell anybody apart. */
const ALONE: Subject = { green: { labels: {} }, blue: null };

/** Refused where the choice leaves nothing, with what there is to choose from. */
export function gatesToJudge(normal: NormalMigration, { unit, step }: Choice): Parsed<GatesToJudge[]> {
  const traffic = normal.traffic ?? [];
  const units = [...normal.databases, ...traffic].map((one) => one.unit);
  if (unit !== null && !units.some((one) => one === unit)) {
    return unreadable(`there is no unit ${unit} in the specification${didYouMean(unit, units)}`);
  }
  const isChosen = (one: { unit: UnitRef }): boolean => unit === null || one.unit === unit;
  const databases = step === null ? normal.databases.filter(isChosen) : [];
  const moved = traffic.filter(isChosen);
  if (step !== null && !moved.some(({ steps }) => steps.some(({ weight }) => weight === step)))
    return unreadable(noSuchStep(step, unit, moved));
  const places = [
    ...databases.flatMap(({ unit: of, cutover, watch }): GatesToJudge[] => [
      { ...ASKED_HERE, unit: of, place: 'cutover.probation', gates: cutover.probation?.gates ?? [] },
      { ...ASKED_HERE, unit: of, place: WATCHED, gates: watch.gates ?? [] },
    ]),
    ...moved.flatMap((one) => gatesOfTraffic(one, step)),
  ].filter(({ gates }) => gates.length > 0);
  if (places.length > 0) return parsed(places);
  const where = [...(unit === null ? [] : [unit]), ...(step === null ? [] : [`the step of ${step} %`])].join(', ');
  return unreadable(
    `${where === '' ? 'the specification' : where} has no gates to judge; databases have them as watch.gates and cutover.probation.gates, traffic as gates, steps[].gates and watch.gates`,
  );
}

export const WATCHED = 'watch.gates';
export const TRIGGERED = 'triggers';
const ASKED_HERE = { subject: ALONE, taskQueue: null };

function noSuchStep(step: number, unit: string | null, traffic: NormalTraffic[]): string {
  if (traffic.length === 0) return `${unit ?? 'the specification'} moves no traffic, so it has no step of ${step} %`;
  const weights = traffic.map((one) => `${one.unit} has ${one.steps.map(({ weight }) => weight).join(', ')} %`);
  return `there is no step of ${step} %; ${weights.join('; ')}`;
}

/** All lists of a unit of traffic; steps with the same gates are one. `only`: those of this step, and the triggers. */
export function gatesOfTraffic(traffic: NormalTraffic, only: number | null): GatesToJudge[] {
  const { unit, subject, taskQueue, steps, watch, triggers = [] } = traffic;
  const base = { unit, subject, taskQueue };
  const chosen = steps.filter(({ weight }) => only === null || weight === only);
  const alike = new Map<string, { weights: number[]; gates: NormalMetricGate[] }>();
  for (const { weight, gates } of chosen) {
    const key = JSON.stringify(gates);
    const known = alike.get(key) ?? { weights: [], gates };
    known.weights.push(weight);
    alike.set(key, known);
  }
  const atSteps = [...alike.values()].map(({ weights, gates }): GatesToJudge => {
    const place = `${weights.length === 1 ? 'step' : 'steps'} ${weights.join(', ')} %`;
    return { ...base, place, gates };
  });
  if (chosen.length === 0) return [];
  const later = only === null ? [{ ...base, place: WATCHED, gates: watch.gates }] : [];
  return [...atSteps, ...later, { ...base, place: TRIGGERED, gates: triggers }];
}

/** The longest that a look of these goes back at first. */
export function longestWindow(places: readonly GatesToJudge[]): Milliseconds {
  return Math.max(...places.flatMap(({ gates }) => gates.map(({ window }) => window)));
}
