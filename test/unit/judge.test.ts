import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Evidence } from '../../activities/metrics/evidence.js';
import { judgeLook, type Compared, type Look } from '../../activities/metrics/judge.js';
import type { NormalMetricGate } from '../../spec/gates.js';
import { gateOf } from '../support/gates.js';

const errors = (gate: object = {}, change: Partial<NormalMetricGate> = {}): NormalMetricGate =>
  gateOf({ errorRatio: { absolute: '1%', ...gate } }, change);
const seen = (bad: number, total: number): Evidence => ({ kind: 'counts', bad, total });
const look = (gate: NormalMetricGate, green: Evidence, more: Partial<Compared> = {}): Look =>
  judgeLook(gate, { name: 'green', green, blue: null, baseline: null, ...more });

describe('an error ratio', () => {
  test('is explained with its figures', () => {
    expect(look(errors(), seen(14, 612)).explanation).toBe(
      'green 14 of 612 = 2.3 %, 95 % interval 1.4–3.8 %, limit 1 %: fails',
    );
    expect(look(errors(), seen(0, 612)).explanation).toBe(
      'green 0 of 612 = 0 %, 95 % interval 0–0.62 %, limit 1 %: passes',
    );
  });

  test('that may lie on either side of its limit is insufficient, and told how much would tell', () => {
    const { verdict, leaning, explanation } = look(errors(), seen(3, 400));
    expect({ verdict, leaning }).toEqual({ verdict: 'insufficient', leaning: false });
    expect(explanation).toMatch(/the interval holds the limit; about [\d,]+ requests at this share would tell$/);
    expect(look(errors(), seen(6, 400))).toMatchObject({ verdict: 'insufficient', leaning: true });
  });

  test('of fewer samples than asked for neither passes nor fails, however bad it is', () => {
    expect(look(errors(), seen(199, 199)).verdict).toBe('insufficient');
    expect(look(errors(), seen(200, 200)).verdict).toBe('fail');
  });

  test('without a request is insufficient', () => {
    expect(look(errors(), seen(0, 0))).toMatchObject({ verdict: 'insufficient', figures: null });
  });

  test('of no errors at all asks for not one', () => {
    const none = errors({ absolute: '0%' });
    expect(look(none, seen(0, 500)).verdict).toBe('pass');
    expect(look(none, seen(1, 500)).verdict).toBe('fail');
  });

  test('is judged by the larger of a limit and a relation', () => {
    const gate = errors({ relativeToBaseline: 2 });
    const baseline = { value: 0.02, lower: 0.019, upper: 0.021, samples: 90_000 };
    expect(look(gate, seen(150, 5_000), { baseline }).explanation).toContain('limit 4 % (2 × baseline 2 %): passes');
    expect(look(gate, seen(400, 5_000), { baseline }).verdict).toBe('fail');
    expect(look(gate, seen(2, 5_000), { baseline }).verdict).toBe('pass');
  });

  test('beyond its limit whose relation is unknown is not judged; within the limit it passes', () => {
    const gate = errors({ relativeToBaseline: 2 });
    const baseline = { verdict: 'provider-error', reason: 'no answer' } as const;
    expect(look(gate, seen(400, 5_000), { baseline }).verdict).toBe('provider-error');
    expect(look(gate, seen(400, 5_000)).verdict).toBe('no-data');
    expect(look(gate, seen(2, 5_000), { baseline }).verdict).toBe('pass');
  });

  test('beside blue counts how sure both are', () => {
    const gate = gateOf({ errorRatio: { relativeToBlue: 1.5 } });
    expect(look(gate, seen(300, 10_000), { blue: seen(100, 10_000) }).verdict).toBe('fail');
    expect(look(gate, seen(30, 1_000), { blue: seen(1, 100) }).verdict).toBe('insufficient');
    expect(look(gate, seen(100, 100_000), { blue: seen(200, 100_000) }).verdict).toBe('pass');
  });

  test('is severe at ten times the limit, by its lower bound', () => {
    expect(look(errors(), seen(110, 1_000))).toMatchObject({ verdict: 'fail', severe: false });
    expect(look(errors(), seen(150, 1_000))).toMatchObject({ verdict: 'fail', severe: true });
    // Ten times 30 % is none; half-way from 30 % to all is 65 %.
    expect(look(errors({ absolute: '30%' }), seen(700, 1_000))).toMatchObject({ verdict: 'fail', severe: true });
  });

  test('never passes and fails at once, and more errors never make it better', () => {
    const RANK = { pass: 0, insufficient: 1, fail: 2, 'no-data': NaN, 'provider-error': NaN };
    fc.assert(
      fc.property(
        fc
          .integer({ min: 200, max: 100_000 })
          .chain((total) => fc.tuple(fc.constant(total), fc.integer({ min: 0, max: total - 1 }))),
        ([total, bad]) => {
          const fewer = RANK[look(errors(), seen(bad, total)).verdict];
          const more = RANK[look(errors(), seen(bad + 1, total)).verdict];
          expect(more).toBeGreaterThanOrEqual(fewer);
        },
      ),
    );
  });

  test('of whatever a provider may answer ends in a verdict and a sentence', () => {
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(NaN, Infinity, -Infinity, -0));
    const evidence: fc.Arbitrary<Evidence> = fc.oneof(
      fc.record({ kind: fc.constant('counts' as const), bad: number, total: number }),
      fc.record({
        kind: fc.constant('figure' as const),
        value: number,
        lower: fc.option(number),
        upper: fc.option(number),
        samples: fc.option(number),
      }),
      fc.record({
        kind: fc.constant('histogram' as const),
        buckets: fc.array(fc.record({ le: number.filter((one) => !Number.isNaN(one)), count: number })),
      }),
      fc.record({ kind: fc.constantFrom('no-data' as const, 'provider-error' as const), reason: fc.string() }),
    );
    fc.assert(
      fc.property(evidence, fc.constantFrom('errorRatio', 'latency', 'availability', 'query'), (green, kind) => {
        const gate = gateOf({ [kind]: kind === 'query' ? { value: 'x', absolute: 3 } : {} });
        const { verdict, explanation } = look(gate, green, {
          baseline: { value: 1, lower: 1, upper: null, samples: 3 },
        });
        expect(['pass', 'fail', 'no-data', 'insufficient', 'provider-error']).toContain(verdict);
        expect(explanation.length).toBeGreaterThan(5);
        if (green.kind === 'no-data' || green.kind === 'provider-error') expect(verdict).toBe(green.kind);
      }),
    );
  });
});

describe('a latency', () => {
  const buckets = (counts: Record<number, number>, all: number): Evidence => ({
    kind: 'histogram',
    buckets: [
      ...Object.entries(counts).map(([le, count]) => ({ le: Number(le), count })),
      { le: Infinity, count: all },
    ],
  });
  const p95 = (limit: object): NormalMetricGate => gateOf({ latency: { quantile: 'p95', ...limit } });

  test('is judged by the interval of its quantile', () => {
    const green = buckets({ 100: 3_000, 250: 3_900, 500: 3_990 }, 4_000);
    const { verdict, explanation } = look(p95({ absolute: '300ms' }), green);
    expect(verdict).toBe('pass');
    expect(explanation).toBe('green p95 233 ms of 4,000 requests, 95 % interval 229–238 ms, limit 300 ms: passes');
    expect(look(p95({ absolute: '150ms' }), green).verdict).toBe('fail');
  });

  test('beyond the last bucket is over that, and nothing more is known', () => {
    const green = buckets({ 100: 10, 1_000: 20 }, 4_000);
    expect(look(p95({ absolute: '500ms' }), green).verdict).toBe('fail');
    expect(look(p95({ absolute: '2s' }), green).verdict).toBe('insufficient');
  });

  test('is compared with the time before by default', () => {
    const baseline = { value: 200, lower: 195, upper: 205, samples: 50_000 };
    const gate = gateOf({ latency: {} });
    expect(look(gate, buckets({ 100: 3_000, 250: 3_900 }, 4_000), { baseline }).explanation).toContain(
      'limit 240 ms (1.2 × baseline 200 ms)',
    );
    expect(look(gate, buckets({ 100: 3_000, 250: 3_000, 500: 4_000 }, 4_000), { baseline }).verdict).toBe('fail');
  });

  test('of a summary is taken as it is', () => {
    const { verdict, explanation } = look(p95({ absolute: '500ms' }), {
      kind: 'figure',
      value: 620,
      lower: null,
      upper: null,
      samples: 900,
    });
    expect(verdict).toBe('fail');
    expect(explanation).toBe('green p95 620 ms of 900 requests, no interval known, limit 500 ms: fails');
  });
});

test('availability is the share that is good', () => {
  const gate = gateOf({ availability: {} });
  expect(look(gate, seen(1, 10)).explanation).toBe('green 9 of 10 = 90 %, least 95 %: fails');
  expect(look(gate, seen(0, 2)).verdict).toBe('pass');
});

test('a number may have to be high', () => {
  const gate = gateOf({ query: { value: 'x', absolute: 0.9, better: 'higher' } });
  const figure = (value: number): Evidence => ({ kind: 'figure', value, lower: null, upper: null, samples: null });
  expect(look(gate, figure(0.95)).verdict).toBe('pass');
  expect(look(gate, figure(0.8))).toMatchObject({ verdict: 'fail', severe: false });
  expect(look(gate, figure(0.05))).toMatchObject({ verdict: 'fail', severe: true });
});

test('what somebody else has judged is taken over', () => {
  const gate = gateOf({ query: { value: 'x', absolute: 1 } });
  expect(look(gate, { kind: 'said', verdict: 'fail', reason: 'fail, orders are down' })).toMatchObject({
    verdict: 'fail',
    explanation: 'green: fail, orders are down',
  });
});
