/**
 * One look at one gate: what the evidence says of the limit. Pure. What many looks say together is in `sustained.ts`.
 *
 * A figure passes when its whole interval is within the limit, fails when all of it is beyond, and else is
 * insufficient: more samples will tell. Figures without an interval (gauges, summaries) are taken as they are.
 */
import { FAST_ABORT_FACTOR, type NormalMetricGate } from '../../spec/gates.js';
import { unitOf } from '../../spec/recent.js';
import type { Figures, Reference, Verdict } from '../../spec/verdict.js';
import type { Evidence } from './evidence.js';
import { bucketAt, difference, quantileOf, samplesToBound, samplesToTell, wilson, type Interval } from './interval.js';
import { count, interval, shown } from './words.js';

export interface Look {
  verdict: Verdict;
  /** Beyond ten times the limit, the whole interval of it. */
  severe: boolean;
  /** Insufficient, but the figure itself is beyond the limit: a breach may be going on. */
  leaning: boolean;
  figures: Figures | null;
  explanation: string;
}

export interface Compared {
  /** `green`, or what there is only one of. */
  name: string;
  green: Evidence;
  /** Null: not asked, since nothing is relative to it. */
  blue: Evidence | null;
  baseline: Reference | Lack | null;
}

/** Why there is no figure. */
export interface Lack {
  verdict: Exclude<Verdict, 'pass' | 'fail'>;
  reason: string;
}

export function judgeLook(gate: NormalMetricGate, { name, green, blue, baseline }: Compared): Look {
  if (green.kind === 'said') {
    return { ...NOTHING, verdict: green.verdict, explanation: `${name}: ${green.reason}` };
  }
  const estimate = estimateOf(gate, green);
  if ('verdict' in estimate) return lacking(estimate.verdict, `${name}: ${estimate.reason}`);
  const limits = limitsOf(gate, estimate, blue, baseline);
  const limit = strictestPoint(gate, limits);
  const figures = figuresOf(gate, estimate, limit);
  const words = [`${name} ${describe(gate, estimate)}`, limitInWords(gate, limits, limit)];
  if (estimate.samples !== null && estimate.samples < gate.minSamples) {
    const fewer = `${words.join(', ')}: insufficient, fewer than ${count(gate.minSamples)} samples`;
    return { ...NOTHING, verdict: 'insufficient', figures, explanation: fewer };
  }
  const { verdict, reason } = settled(limits);
  const leaning = verdict === 'insufficient' && limits.every((one) => 'margin' in one && one.margin.value > 0);
  return {
    verdict,
    severe: verdict === 'fail' && limit !== null && isSevere(gate, estimate, limit),
    leaning,
    figures,
    explanation: `${words.join(', ')}: ${reason ?? VERDICT_WORDS[verdict]}${hint(gate, verdict, estimate, limit)}`,
  };
}

const NOTHING = { severe: false, leaning: false, figures: null };

const VERDICT_WORDS: Record<Verdict, string> = {
  pass: 'passes',
  fail: 'fails',
  insufficient: 'insufficient, the interval holds the limit',
  'no-data': 'no data',
  'provider-error': 'not to be asked',
};

function lacking(verdict: Verdict, reason: string): Look {
  return { ...NOTHING, verdict, explanation: `${reason}: ${verdict}` };
}

// ── figures ──

export interface Estimate extends Interval {
  /** Null: nobody counted. */
  samples: number | null;
  /** Whether the bounds mean something. */
  bounded: boolean;
  /** What it was read from, for words. */
  from: Evidence;
}

/** Of the figure that the gate is about: for availability, of the share that is bad. */
export function estimateOf(gate: NormalMetricGate, evidence: Evidence): Estimate | Lack {
  switch (evidence.kind) {
    case 'provider-error':
    case 'no-data':
      return { verdict: evidence.kind, reason: evidence.reason };
    case 'said':
      return { verdict: 'no-data', reason: 'a verdict of somebody else, and no figure' };
    case 'counts': {
      const { bad, total } = evidence;
      if (!isCount(bad) || !isCount(total)) return { verdict: 'no-data', reason: 'the counts are no numbers' };
      if (total === 0) return { verdict: 'insufficient', reason: 'no request' };
      if (!sampled(gate, evidence))
        return { ...exactly(Math.min(1, bad / total)), samples: null, bounded: false, from: evidence };
      return { ...wilson(Math.min(bad, total), total), samples: total, bounded: true, from: evidence };
    }
    case 'histogram': {
      const found = gate.kind === 'latency' ? quantileOf(gate.quantile, evidence.buckets) : null;
      if (found === null) return { verdict: 'insufficient', reason: 'no request' };
      return { ...found, bounded: true, from: evidence };
    }
    case 'figure': {
      const { value, lower, upper, samples } = evidence;
      if (samples === 0) return { verdict: 'insufficient', reason: 'no request' };
      if (!Number.isFinite(value)) return { verdict: 'no-data', reason: 'the answer is no number' };
      const bounded = lower !== null && upper !== null;
      return { value, lower: lower ?? value, upper: upper ?? value, samples, bounded, from: evidence };
    }
  }
}

/** Instances are all there are; requests are samples of those that may come. */
function sampled(gate: NormalMetricGate, { of }: Extract<Evidence, { kind: 'counts' }>): boolean {
  return gate.kind !== 'availability' || gate.counts === 'requests' || of === 'requests';
}

function exactly(value: number): Interval {
  return { value, lower: value, upper: value };
}

function isCount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

/** As it is kept between looks. */
export function referenceOf(estimate: Estimate): Reference {
  const { value, lower, upper, samples } = estimate;
  return { value, lower, upper: Number.isFinite(upper) ? upper : null, samples };
}

function figuresOf(
  gate: NormalMetricGate,
  { value, lower, upper, samples, bounded }: Estimate,
  limit: number | null,
): Figures {
  const good = gate.kind === 'availability';
  const bounds = good ? [1 - upper, 1 - lower] : [lower, upper];
  return {
    value: good ? 1 - value : value,
    lower: bounded ? (bounds[0] ?? null) : null,
    upper: bounded && Number.isFinite(bounds[1]) ? (bounds[1] ?? null) : null,
    limit: good && limit !== null ? 1 - limit : limit,
    samples: samples === null ? null : Math.round(samples),
  };
}

// ── limits ──

type LimitSeen = { words: string } & (
  | { point: number; margin: Interval }
  /** It can't be said where this one lies. */
  | { lack: Lack }
);

/** Of each limit that is written: how far beyond it the figure is. */
function limitsOf(
  gate: NormalMetricGate,
  estimate: Estimate,
  blue: Evidence | null,
  baseline: Compared['baseline'],
): LimitSeen[] {
  const { absolute, relativeToBlue, relativeToBaseline } = gate.limit;
  const limits: LimitSeen[] = [];
  if (absolute !== null) {
    const point = gate.kind === 'availability' ? 1 - absolute : absolute;
    limits.push({ words: '', point, margin: beyond(gate, estimate, 1, exactly(point)) });
  }
  if (relativeToBlue !== null) {
    const other = blue === null ? lackOf('blue', 'there is none') : estimateOf(gate, blue);
    limits.push(relation(gate, estimate, relativeToBlue, 'blue', other));
  }
  if (relativeToBaseline !== null) {
    const other =
      baseline === null ? lackOf('baseline', 'there is none') : 'verdict' in baseline ? baseline : intervalOf(baseline);
    limits.push(relation(gate, estimate, relativeToBaseline, 'baseline', other));
  }
  return limits;
}

function lackOf(name: string, reason: string): Lack {
  return { verdict: 'no-data', reason: `${name}: ${reason}` };
}

function intervalOf({ value, lower, upper }: Reference): Interval {
  return { value, lower, upper: upper ?? Infinity };
}

function relation(
  gate: NormalMetricGate,
  estimate: Estimate,
  times: number,
  name: string,
  other: Interval | Lack,
): LimitSeen {
  if ('verdict' in other)
    return { words: `${times} × ${name}`, lack: { verdict: other.verdict, reason: `${name}: ${other.reason}` } };
  return {
    words: `${times} × ${name} ${shown(other.value, unitOf(gate))}`,
    point: times * other.value,
    margin: beyond(gate, estimate, times, other),
  };
}

/** Over 0: on the bad side of the limit. */
function beyond(gate: NormalMetricGate, estimate: Interval, times: number, limit: Interval): Interval {
  const { value, lower, upper } = difference(estimate, times, limit);
  return higherIsBetter(gate) ? { value: -value, lower: -upper, upper: -lower } : { value, lower, upper };
}

function higherIsBetter(gate: NormalMetricGate): boolean {
  return gate.kind === 'query' && gate.better === 'higher';
}

/** Within any of the limits is within the most generous one; beyond needs to be beyond all of them. */
function settled(limits: readonly LimitSeen[]): { verdict: Verdict; reason?: string } {
  const seen = limits.flatMap((limit) => ('margin' in limit ? [limit] : []));
  if (seen.some(({ margin, point }) => margin.upper <= 0 || (point === 0 && margin.value <= 0)))
    return { verdict: 'pass' };
  const lacks = limits.flatMap((limit) => ('lack' in limit ? [limit.lack] : []));
  const [first] = lacks;
  if (first !== undefined) return { verdict: first.verdict, reason: `${first.verdict}, ${first.reason}` };
  return { verdict: seen.length > 0 && seen.every(({ margin }) => margin.lower > 0) ? 'fail' : 'insufficient' };
}

/** The one that decides: the most generous. Null: none is known. */
function strictestPoint(gate: NormalMetricGate, limits: readonly LimitSeen[]): number | null {
  const points = limits.flatMap((limit) => ('point' in limit ? [limit.point] : []));
  if (points.length === 0) return null;
  return higherIsBetter(gate) ? Math.min(...points) : Math.max(...points);
}

/** Ten times the limit; of a share, half-way from the limit to all of it, where that is less. */
function isSevere(gate: NormalMetricGate, { lower, upper }: Estimate, limit: number): boolean {
  if (higherIsBetter(gate)) return upper < limit / FAST_ABORT_FACTOR;
  if (unitOf(gate) !== 'share') return limit > 0 && lower > limit * FAST_ABORT_FACTOR;
  const half = (1 + limit) / 2;
  return lower > (limit === 0 ? half : Math.min(limit * FAST_ABORT_FACTOR, half));
}

// ── words ──

function describe(gate: NormalMetricGate, estimate: Estimate): string {
  const unit = unitOf(gate);
  const { value, lower, upper, samples, bounded, from } = estimate;
  const note = 'note' in from && from.note !== undefined ? ` (${from.note})` : '';
  const bounds = bounded ? `, ${interval(lower, upper, unit)}` : '';
  if (from.kind === 'counts') {
    const [some, all] = gate.kind === 'availability' ? [from.total - from.bad, 1 - value] : [from.bad, value];
    const around = gate.kind === 'availability' && bounded ? `, ${interval(1 - upper, 1 - lower, unit)}` : bounds;
    return `${count(some)} of ${count(from.total)} = ${shown(all, unit)}${note}${around}`;
  }
  const what = gate.kind === 'latency' ? `p${Math.round(gate.quantile * 100)} ` : '';
  const of = samples === null ? '' : ` of ${count(samples)} requests`;
  return `${what}${shown(value, unit)}${of}${note}${bounds === '' && samples !== null ? ', no interval known' : bounds}`;
}

function limitInWords(gate: NormalMetricGate, limits: readonly LimitSeen[], limit: number | null): string {
  const decisive = limits.find((one) => 'point' in one && one.point === limit);
  if (limit === null || decisive === undefined) return 'no limit known';
  const good = gate.kind === 'availability';
  const point = shown(good ? 1 - limit : limit, unitOf(gate));
  const from = decisive.words === '' ? '' : ` (${decisive.words})`;
  return `${higherIsBetter(gate) || good ? 'least' : 'limit'} ${point}${from}`;
}

/** What would tell, where nothing tells. */
function hint(gate: NormalMetricGate, verdict: Verdict, estimate: Estimate, limit: number | null): string {
  const { from, value, upper } = estimate;
  if (verdict !== 'insufficient' || limit === null) return '';
  if (from.kind === 'counts' && value !== limit) {
    const needed = samplesToTell(value, limit);
    return needed === null ? '' : `; about ${count(needed)} requests at this share would tell`;
  }
  if (from.kind !== 'histogram' || gate.kind !== 'latency') return '';
  if (upper === Infinity && (estimate.samples ?? 0) < samplesToBound(gate.quantile)) {
    return `; ${count(samplesToBound(gate.quantile))} requests are the fewest that bound p${Math.round(gate.quantile * 100)}`;
  }
  const { from: below, le } = bucketAt(gate.quantile * (estimate.samples ?? 0), from.buckets);
  const isIn = limit > below && limit < le;
  return isIn ? `; both lie in one bucket, ${shown(below, 'ms')} to ${le === Infinity ? '∞' : shown(le, 'ms')}` : '';
}
