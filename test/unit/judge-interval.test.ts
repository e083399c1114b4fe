import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  difference,
  quantileOf,
  ranksOf,
  samplesToBound,
  samplesToTell,
  wilson,
  type Bucket,
} from '../../activities/metrics/interval.js';

const counts = fc
  .integer({ min: 1, max: 2_000_000 })
  .chain((total) => fc.tuple(fc.integer({ min: 0, max: total }), fc.constant(total)));

describe('the interval of a share', () => {
  test.each([
    [14, 612, 0.01367, 0.03804],
    [0, 200, 0, 0.01885],
    [200, 200, 0.98115, 1],
    [5, 10, 0.23659, 0.76341],
  ])('of %d in %d is %d to %d', (hits, total, lower, upper) => {
    const found = wilson(hits, total);
    expect(found.lower).toBeCloseTo(lower, 4);
    expect(found.upper).toBeCloseTo(upper, 4);
  });

  test('holds the share, lies within 0 and 1, and mirrors with what is counted', () => {
    fc.assert(
      fc.property(counts, ([hits, total]) => {
        const { value, lower, upper } = wilson(hits, total);
        const other = wilson(total - hits, total);
        expect(0 <= lower && lower <= value && value <= upper && upper <= 1).toBe(true);
        expect(other.lower).toBeCloseTo(1 - upper, 9);
      }),
    );
  });

  test('grows narrower with every sample more at the same share', () => {
    fc.assert(
      fc.property(counts, ([hits, total]) => {
        const few = wilson(hits, total);
        const many = wilson(hits * 4, total * 4);
        expect(many.upper - many.lower).toBeLessThan(few.upper - few.lower);
      }),
    );
  });

  test('tells how many samples it takes to tell, and one fewer does not', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.2, noNaN: true }),
        fc.double({ min: 0.0005, max: 0.3, noNaN: true }),
        (value, limit) => {
          fc.pre(Math.abs(value - limit) > limit / 50);
          const needed = samplesToTell(value, limit) ?? 0;
          const told = (total: number): boolean => {
            const { lower, upper } = wilson(value * total, total);
            return upper <= limit || lower > limit;
          };
          expect(told(needed)).toBe(true);
          expect(needed > 1 && told(needed - 1)).toBe(false);
        },
      ),
    );
    expect(samplesToTell(0, 0.01)).toBe(381);
    expect(samplesToTell(0.01, 0.01)).toBeNull();
  });
});

describe('the interval of a quantile', () => {
  test.each([
    // From sums of the binomial distribution in exact fractions.
    [0.5, 10, 2, 9],
    [0.5, 100, 40, 61],
    [0.95, 200, 184, 197],
  ])('of %d in %d samples lies between ranks %d and %d', (quantile, samples, lower, upper) => {
    expect(ranksOf(quantile, samples)).toEqual({ lower, upper });
  });

  test('has no upper bound while there are too few samples for one', () => {
    expect(samplesToBound(0.99)).toBe(368);
    expect(ranksOf(0.99, 367).upper).toBe(Infinity);
    expect(ranksOf(0.99, 368).upper).toBe(368);
  });

  const LIMITS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
  const histogram = (samples: number[]): Bucket[] =>
    [...LIMITS, Infinity].map((le) => ({ le, count: samples.filter((one) => one <= le).length }));

  test('in a histogram covers the true quantile at least as often as it says', () => {
    // Exponential with a mean of 100 ms: its p95 is 299.6 ms.
    const truth = -100 * Math.log(0.05);
    let state = 7;
    const random = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return (state + 1) / 2_147_483_649;
    };
    let covered = 0;
    const runs = 400;
    for (let run = 0; run < runs; run += 1) {
      const found = quantileOf(0.95, histogram(Array.from({ length: 500 }, () => -100 * Math.log(random()))));
      // Interpolation in the bucket from 250 to 500 ms shifts it; that is why both lie in one bucket here.
      const bucket = found !== null && found.lower <= 500 && found.upper >= 250;
      if (bucket && found.lower <= truth * 1.15 && found.upper >= truth * 0.85) covered += 1;
    }
    expect(covered / runs).toBeGreaterThan(0.95);
  });

  test('lies where the samples are, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 20_000, noNaN: true }), { minLength: 1, maxLength: 400 }),
        fc.constantFrom(0.5, 0.95, 0.99),
        (samples, quantile) => {
          const found = quantileOf(quantile, histogram(samples));
          const sorted = [...samples].sort((a, b) => a - b);
          const exact = sorted[Math.ceil(quantile * samples.length) - 1] ?? NaN;
          const le = [...LIMITS, Infinity].find((one) => exact <= one) ?? Infinity;
          const from = LIMITS[LIMITS.indexOf(le) - 1] ?? (le === Infinity ? 10_000 : 0);
          expect(found?.samples).toBe(samples.length);
          expect(found?.value).toBeGreaterThanOrEqual(from);
          expect(found?.value).toBeLessThanOrEqual(le);
          expect((found?.lower ?? NaN) <= (found?.value ?? NaN) && (found?.value ?? NaN) <= (found?.upper ?? NaN)).toBe(
            true,
          );
        },
      ),
    );
  });

  test('of nothing is nothing', () => {
    expect(quantileOf(0.95, [])).toBeNull();
    expect(quantileOf(0.95, [{ le: Infinity, count: 0 }])).toBeNull();
  });
});

test('a difference is as sure as both of its sides', () => {
  // Newcombe 1998, table II, example (a), method 10: 56 of 70 and 48 of 80.
  const found = difference(wilson(56, 70), 1, wilson(48, 80));
  expect(found.value).toBeCloseTo(0.2, 6);
  expect(found.lower).toBeCloseTo(0.0524, 4);
  expect(found.upper).toBeCloseTo(0.3339, 4);
});
