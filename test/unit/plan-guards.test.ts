import picocolors from 'picocolors';
import { expect, test } from 'vitest';
import { guardText } from '../../activities/plan/guards.js';
import { planText } from '../../clients/output/plan.js';
import type { Plan } from '../../spec/plan.js';
import { gateOf } from '../support/gates.js';

test.each<[object, string]>([
  [{ errorRatio: { absolute: '1%' } }, 'error-ratio at most 1%, else undo after 5m'],
  [{ errorRatio: {} }, 'error-ratio at most the larger of 1% and 2 × the baseline, else undo after 5m'],
  [
    { latency: { quantile: 'p99', relativeToBlue: 1.5 }, onFailure: 'hold', sustained: '90s' },
    'latency-p99 at most 1.5 × blue, else hold after 1m30s',
  ],
  [{ latency: { absolute: '800ms' } }, 'latency-p95 at most 800ms, else undo after 5m'],
  [{ availability: {} }, 'availability at least 95%, else undo after 5m'],
  [{ name: 'cpu', saturation: { value: 'cpu' } }, 'cpu at most 80%, else undo after 5m'],
  [
    { name: 'orders', query: { value: 'orders', absolute: 3, relativeToBaseline: 0.5, better: 'higher' } },
    'orders at least the smaller of 3 and 0.5 × the baseline, else undo after 5m',
  ],
])('the gate %j reads as a sentence', (written, text) => {
  expect(guardText(gateOf(written))).toBe(text);
});

test('a plan shows what guards a step', () => {
  const step = {
    seq: 1,
    unit: 'traffic/web',
    stage: 'switch',
    title: 'move the traffic in 2 steps: 50 %, 100 %',
    touches: ['the listener'],
    undo: 'give all traffic back to blue, in one write',
    guards: ['trigger-latency at most 2 × the baseline, else hold after 10m'],
    gate: null,
    estimate: { seconds: 240, basis: 'sum of all holds' },
  } as const;
  const spec = {} as Plan['spec'];
  const plan: Plan = {
    version: 1,
    name: 'shop',
    digest: 'sha256:0123456789abcdef',
    spec,
    facts: [],
    steps: [{ ...step, touches: [...step.touches], guards: [...step.guards] }],
    findings: [],
  };
  expect(planText(plan, picocolors.createColors(false), false)).toContain(
    '      touches the listener\n      guarded trigger-latency at most 2 × the baseline, else hold after 10m\n      undo    give all',
  );
});
