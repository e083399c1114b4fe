/** What providers answer about one side in one stretch of time. */
import type { NormalMetricGate } from '../../spec/gates.js';
import type { SubjectSide, TimeRange, Verdict } from '../../spec/verdict.js';
import type { Bucket } from './interval.js';

export type Evidence =
  /** Of all, those that were bad. Absent `of`: what the gate counts. */
  | { kind: 'counts'; of?: 'requests'; bad: number; total: number; note?: string }
  /** Milliseconds; cumulative, the last without a bound. */
  | { kind: 'histogram'; buckets: Bucket[]; note?: string }
  /** A figure in the unit of the gate. Bounds that nobody knows are null. */
  | { kind: 'figure'; value: number; lower: number | null; upper: number | null; samples: number | null; note?: string }
  /** Somebody else has judged. */
  | { kind: 'said'; verdict: Verdict; reason: string }
  /** It answered, and knows nothing. */
  | { kind: 'no-data'; reason: string }
  /** It could not be asked. */
  | { kind: 'provider-error'; reason: string };

export interface Question {
  gate: NormalMetricGate;
  side: SubjectSide;
  /** `green`, `blue`, … for people. */
  name: string;
  range: TimeRange;
}

/** Asks one provider. Never throws: what can't be asked is evidence, too. */
export type Ask = (question: Question) => Promise<Evidence>;
