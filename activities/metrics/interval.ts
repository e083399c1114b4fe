/**
 * Intervals: how sure a figure is. Pure. All have a confidence of 95 %, two-sided.
 *
 * - Shares: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
 * - Quantiles: order statistics as bounds that hold for any distribution: W. R. Thompson, "On confidence ranges for the
 *   median and other expectation distributions for populations of unknown distribution form", Annals of Mathematical
 *   Statistics 7 (1936). In a histogram their ranks are interpolated within a bucket.
 * - A figure beside a multiple of another: the intervals of both, joined by MOVER: G. Y. Zou and A. Donner, "Construction
 *   of confidence limits about effect measures: a general approach", Statistics in Medicine 27 (2008); for the difference
 *   of two shares it is R. G. Newcombe's method 10 (1998).
 */
import jstat from 'jstat';

const CONFIDENCE = 0.95;
const TAIL = (1 - CONFIDENCE) / 2;
const Z = jstat.normal.inv(1 - TAIL, 0, 1);

/** `upper` may be Infinity: no sample says how far it goes. */
export interface Interval {
  value: number;
  lower: number;
  upper: number;
}

/** Of `hits` among `total`, which is over 0. Counts may be fractions, as rates times a window are. */
export function wilson(hits: number, total: number): Interval {
  const value = Math.min(1, Math.max(0, hits / total));
  const z2 = Z * Z;
  const middle = (value + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z / (1 + z2 / total)) * Math.sqrt((value * (1 - value)) / total + z2 / (4 * total * total));
  // At 0 and 1 the bound is exact, and rounding must not put it on the wrong side.
  return {
    value,
    lower: value === 0 ? 0 : Math.max(0, Math.min(value, middle - half)),
    upper: value === 1 ? 1 : Math.min(1, Math.max(value, middle + half)),
  };
}

/** How many samples it takes until a share of `value` can be told from `limit`. Null: they are the same. */
export function samplesToTell(value: number, limit: number): number | null {
  if (value === limit || limit <= 0 || limit >= 1) return null;
  const told = (total: number): boolean => {
    const { lower, upper } = wilson(value * total, total);
    return value < limit ? upper <= limit : lower > limit;
  };
  let [no, yes] = [0, 1];
  while (!told(yes)) {
    [no, yes] = [yes, yes * 2];
    if (yes > 1e12) return null;
  }
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (told(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/** Of the difference `one` − `times` × `other`. */
export function difference(one: Interval, times: number, other: Interval): Interval {
  const value = one.value - times * other.value;
  const root = (a: number, b: number): number => Math.sqrt(a * a + times * times * b * b);
  return {
    value,
    lower: value - root(one.value - one.lower, other.upper - other.value),
    upper: value + root(one.upper - one.value, other.value - other.lower),
  };
}

export interface Ranks {
  lower: number;
  /** Infinity: with so few samples none of them bounds the quantile from above. */
  upper: number;
}

/** Ranks, from 1, of the samples between which the quantile of the distribution lies. 0: below the smallest. */
export function ranksOf(quantile: number, samples: number): Ranks {
  // Of more than this the interval is a point, and whole numbers end soon after.
  const scale = Math.max(1, samples / MOST_SAMPLES);
  const total = Math.floor(samples / scale);
  return {
    lower: scale * (firstWhere(total + 1, (rank) => atMost(rank - 1, total, quantile) > TAIL) - 1),
    upper: scale * upperRank(quantile, total),
  };
}

const MOST_SAMPLES = 1e9;

function upperRank(quantile: number, total: number): number {
  const rank = firstWhere(total + 1, (one) => atMost(one - 1, total, quantile) >= 1 - TAIL);
  return rank > total ? Infinity : rank;
}

/** The fewest samples of which one bounds the quantile from above. */
export function samplesToBound(quantile: number): number {
  return Math.ceil(Math.log(TAIL) / Math.log(quantile));
}

/** The probability of at most `hits` in `total` tries. */
function atMost(hits: number, total: number, share: number): number {
  if (hits < 0) return 0;
  return hits >= total ? 1 : jstat.ibeta(1 - share, total - hits, hits + 1);
}

/** The smallest from 1 to `last` for which it is true; it stays true from there on, and is for `last`. */
function firstWhere(last: number, isTrue: (rank: number) => boolean): number {
  let [no, yes] = [0, last];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (isTrue(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/** Samples up to and with the bound `le`. */
export interface Bucket {
  le: number;
  count: number;
}

/**
 * A quantile and its interval from cumulative buckets, the last of which has no bound. Null: it holds no samples. In
 * the last bucket nothing is known but that it is over the bound before.
 */
export function quantileOf(quantile: number, buckets: readonly Bucket[]): (Interval & { samples: number }) | null {
  const rising = cumulative(buckets);
  const samples = rising.at(-1)?.count ?? 0;
  if (!(samples >= 1)) return null;
  const { lower, upper } = ranksOf(quantile, samples);
  const value = valueAt(quantile * samples, rising);
  return {
    value: value.lower,
    lower: Math.min(value.lower, lower === 0 ? 0 : valueAt(lower, rising).lower),
    upper: Math.max(value.upper, upper === Infinity ? Infinity : valueAt(upper, rising).upper),
    samples,
  };
}

/** Rates of single buckets don't add up to the last digit; a count never falls. */
function cumulative(buckets: readonly Bucket[]): Bucket[] {
  const sorted = [...buckets].sort((a, b) => a.le - b.le);
  let most = 0;
  return sorted.map(({ le, count }) => {
    most = Math.max(most, Number.isFinite(count) ? count : 0);
    return { le, count: most };
  });
}

/** The bucket in which the sample of this rank lies: `from` and `le`. */
export function bucketAt(rank: number, rising: readonly Bucket[]): { from: number; before: number } & Bucket {
  const index = Math.max(
    0,
    rising.findIndex(({ count }) => count >= rank),
  );
  const found = rising[index] ?? { le: Infinity, count: 0 };
  const previous = rising[index - 1];
  return { ...found, from: previous?.le ?? Math.min(0, found.le), before: previous?.count ?? 0 };
}

function valueAt(rank: number, rising: readonly Bucket[]): { lower: number; upper: number } {
  const { from, le, before, count } = bucketAt(rank, rising);
  if (le === Infinity) return { lower: from, upper: Infinity };
  const share = count > before ? (rank - before) / (count - before) : 1;
  const value = from + (le - from) * Math.min(1, Math.max(0, share));
  return { lower: value, upper: value };
}
