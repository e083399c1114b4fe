/** What the judge says: of one look at one gate, and of all looks so far. Types and what workflows do with them. */
import type { NormalMetricGate } from './gates.js';
import type { NormalProvider } from './metrics.js';
import type { Milliseconds } from './normal.js';
import type { UnitRef } from './units.js';

/** Of one look. All but the first two hold: no evidence is not good evidence. */
export const VERDICTS = ['pass', 'fail', 'no-data', 'insufficient', 'provider-error'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Of all looks so far: a breach fails once it was sustained, and holds until then. */
export type Decision = 'pass' | 'hold' | 'fail';

/** One side, as its metrics name it. */
export interface SubjectSide {
  /** Label matchers in Prometheus, and values for `{NAME}` in the URLs of smoke tests. */
  labels: Record<string, string>;
  /** In CloudWatch: LoadBalancer and TargetGroup. */
  dimensions?: Record<string, string>;
}

/** Who is judged, beside whom. */
export interface Subject {
  green: SubjectSide;
  /** Null: nothing else serves, as behind a database. */
  blue: SubjectSide | null;
}

/** Milliseconds since the epoch. */
export interface TimeRange {
  from: Milliseconds;
  to: Milliseconds;
}

export interface JudgeInput {
  /** Workflow id of the migration. */
  migration: string;
  unit: UnitRef;
  gates: NormalMetricGate[];
  providers: NormalProvider[];
  subject: Subject;
  /** When this look is taken. Milliseconds since the epoch, like all of these. */
  at: Milliseconds;
  /** When the step began: nothing from before it is evidence. */
  since: Milliseconds;
  /** The time before the shift; null: there is none, and what is relative to it can't be judged. */
  baseline: TimeRange | null;
  /** What the look before answered; null: this is the first. */
  state: JudgeState | null;
}

export interface JudgeAnswer {
  /** Fail before hold before pass. Without gates: pass. */
  overall: Decision;
  gates: GateVerdict[];
  state: JudgeState;
}

export interface GateVerdict {
  gate: string;
  verdict: Verdict;
  decision: Decision;
  onFailure: 'undo' | 'hold';
  /** In words, with its figures: "green 14 of 612 = 2.3 %, 95 % interval 1.4–3.8 %, limit 1 %: fails". */
  explanation: string;
  figures: Figures | null;
  /** How long a breach has been seen, 0 without one. */
  breachMs: Milliseconds;
}

/** Shares are 0 to 1, latencies milliseconds. */
export interface Figures {
  value: number;
  lower: number | null;
  upper: number | null;
  limit: number | null;
  samples: number | null;
}

/** Kept by the workflow between looks, and carried over by continue-as-new. Small: a few numbers a gate. */
export interface JudgeState {
  version: 1;
  gates: Record<string, GateState>;
}

export interface GateState {
  lastAt: Milliseconds;
  lastVerdict: Verdict;
  /** Of the breach that lasts, 0 without one. */
  breachMs: Milliseconds;
  /** As far as it was over ten times the limit. */
  severeMs: Milliseconds;
  /** Looks that found it, without one between them that passed. */
  fails: number;
  /** Whether the last look found it, or could not rule it out: then time goes on counting. */
  inBreach: boolean;
  severe: boolean;
  /** Of the time before the shift, measured once. */
  baseline: Reference | null;
}

/** What is compared with: a figure and its interval. */
export interface Reference {
  value: number;
  lower: number;
  /** Null: nothing bounds it. */
  upper: number | null;
  samples: number | null;
}

export function overallOf(verdicts: readonly Pick<GateVerdict, 'decision'>[]): Decision {
  if (verdicts.some(({ decision }) => decision === 'fail')) return 'fail';
  return verdicts.every(({ decision }) => decision === 'pass') ? 'pass' : 'hold';
}

/** What a failure asks for: one gate that undoes outweighs others that hold. Null: nothing failed. */
export function consequenceOf(verdicts: readonly GateVerdict[]): 'undo' | 'hold' | null {
  const failed = verdicts.filter(({ decision }) => decision === 'fail');
  if (failed.length === 0) return null;
  return failed.some(({ onFailure }) => onFailure === 'undo') ? 'undo' : 'hold';
}
