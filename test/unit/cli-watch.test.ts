import { stripVTControlCharacters } from 'node:util';
import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import { changes } from '../../clients/output/changes.js';
import { sparkline } from '../../clients/output/sparkline.js';
import { statusText } from '../../clients/output/status.js';
import { watchText, type Screen } from '../../clients/output/watch.js';
import type { MigrationView } from '../../clients/view.js';
import { LOOKS_KEPT, observed, seen, type Series } from '../../spec/recent.js';
import type { TrafficStatus, UnitStatus } from '../../spec/status.js';
import { gateOf } from '../support/gates.js';
import { copying, needsAttention, NOW, unit, view } from '../support/views.js';

const HINT = 'Ctrl-C stops watching';
const WIDE: Screen = { columns: 120, rows: 50 };

const ERRORS: Series = {
  name: 'error-ratio',
  unit: 'share',
  limit: 0.01,
  verdict: 'pass',
  decision: 'pass',
  values: [0, 0.0025, 0.005, null, 0.01],
};

const TRAFFIC: TrafficStatus = {
  weight: 25,
  wanted: null,
  step: 1,
  held: 40_000,
  byHand: false,
  waitsFor: null,
  verdicts: [
    'requests at shop-green: 240 of 1,000 = 24 %; the weight is 25 %',
    'error-ratio: green 10 of 1,000 = 1 %, limit 1 %: passes',
  ],
  recent: [ERRORS],
  shiftBeganAt: NOW.getTime() - 200_000,
  log: [{ at: '2026-03-01T11:59:00Z', weight: 25, why: 'step 2 of 5', by: null }],
};

const web = (change: Partial<UnitStatus> = {}, traffic: Partial<TrafficStatus> = {}): UnitStatus =>
  unit({
    unit: 'traffic/web',
    stage: 'switch',
    phase: 'trafficShift',
    traffic: { ...TRAFFIC, ...traffic },
    ...change,
  });

const orders = (change: Partial<UnitStatus> = {}): UnitStatus =>
  unit({
    stage: 'watch',
    phase: 'watch',
    primary: 'target',
    lagMs: 3,
    recent: [{ name: 'lag', unit: 'ms', limit: null, verdict: null, decision: null, values: [1, 2, 8, 3] }],
    well: { for: 3_600_000, of: 259_200_000 },
    ...change,
  });

const SPEC = {
  traffic: [{ unit: 'traffic/web', steps: [10, 25, 50, 75, 100].map((weight) => ({ weight, hold: 120_000 })) }],
} as unknown as MigrationView['status']['spec'];

const moving = (...units: UnitStatus[]): MigrationView => view({ stage: 'switch', units, spec: SPEC });

function shown(of: MigrationView, screen = WIDE, colour = false): string[] {
  const look = { colours: picocolors.createColors(colour), now: NOW, wide: false };
  return watchText(of, look, screen, HINT).split('\n');
}

describe('a sparkline', () => {
  test('fills its height at the limit, so that half of it is half of what is allowed', () => {
    expect(sparkline([0, 0.0025, 0.005, 0.0075, 0.01], 0.01)).toBe('▁▃▅▇█');
  });

  test('grows with figures beyond the limit, and has a dot where a look found none', () => {
    expect(sparkline([0.01, null, 0.08], 0.01)).toBe('▂·█');
  });

  test('of nothing but zeros lies flat', () => {
    expect(sparkline([0, 0, 0])).toBe('▁▁▁');
    expect(sparkline([])).toBe('');
  });
});

describe('what the newest looks saw', () => {
  const gate = gateOf({ errorRatio: { absolute: '1%' } });
  const verdict = (value: number | null) => ({
    gate: 'error-ratio',
    verdict: 'pass' as const,
    decision: 'pass' as const,
    onFailure: 'undo' as const,
    explanation: '',
    figures: value === null ? null : { value, lower: null, upper: null, limit: 0.01, samples: 900 },
    breachMs: 0,
  });

  test('is a few figures of each gate, the oldest forgotten, in three digits', () => {
    let series: Series[] | undefined;
    for (let look = 0; look < LOOKS_KEPT + 5; look += 1) series = seen(series, [verdict(look / 30_000)], [gate]);
    expect(series).toMatchObject([{ name: 'error-ratio', unit: 'share', limit: 0.01, decision: 'pass' }]);
    expect(series?.[0]?.values).toHaveLength(LOOKS_KEPT);
    expect(series?.[0]?.values.at(-1)).toBe(0.00113);
    expect(seen(series, [verdict(null)], [gate])[0]?.values.at(-1)).toBeNull();
  });

  test('lets go of gates that are asked no more, and keeps what nobody judges', () => {
    const before = observed(seen(undefined, [verdict(0)], [gate]), 'lag', 'ms', 12);
    expect(before.map(({ name }) => name)).toEqual(['error-ratio', 'lag']);
    const latency = gateOf({ latency: {} });
    const after = seen(before, [{ ...verdict(40), gate: 'latency-p95' }], [latency]);
    expect(after.map(({ name, unit: of }) => [name, of])).toEqual([
      ['lag', 'ms'],
      ['latency-p95', 'ms'],
    ]);
  });
});

describe('godwit status --watch', () => {
  test('has a line for each unit: its weight as a bar, the step, and the time left of it', () => {
    const [, , orderLine = '', , webLine = '', ...rest] = shown(moving(orders(), web()));
    expect(orderLine).toBe(
      'database/orders  running  watch / watch  writes go to the target  lag ▂▃█▄ 3.0 ms  2d 23h left to watch',
    );
    expect(webLine).toBe(
      'traffic/web      running  ████████████████  green 25 %  step 2 of 5  1m 20s left at this step',
    );
    expect(rest.slice(0, 2)).toEqual([
      '    requests at shop-green: 240 of 1,000 = 24 %; the weight is 25 %',
      '  ✓ error-ratio: ▁▃▅·█ green 10 of 1,000 = 1 %, limit 1 %: passes',
    ]);
    expect(rest.at(-1)).toBe(HINT);
  });

  test('paints the share of green, in as many bars as its weight', () => {
    const line = shown(moving(web()), WIDE, true).find((one) => one.includes('traffic/web')) ?? '';
    expect(line).toContain(`\u001b[34m${'█'.repeat(12)}\u001b[39m\u001b[32m${'█'.repeat(4)}\u001b[39m`);
  });

  test.each<[string, Partial<UnitStatus>, Partial<TrafficStatus>, string]>([
    ['what a person set by hand', {}, { byHand: true }, 'set by hand, stays until promote'],
    ['a gate that it waits for', {}, { waitsFor: 'switch:traffic/web:50' }, 'waits for the gate switch:traffic/web:50'],
    ['a weight on its way', {}, { wanted: 50 }, 'green 25 % → 50 %'],
    ['green on its way', { stage: 'prepare' }, { weight: null, wanted: 0 }, 'green is being attached'],
    ['a trial', { phase: 'probation', well: { for: 60_000, of: 300_000 } }, {}, '4m left on trial'],
  ])('says %s', (_, change, traffic, expected) => {
    expect(shown(moving(web(change, traffic))).join('\n')).toContain(expected);
  });

  test('shows progress with its rate where something is copied', () => {
    expect(shown(view({}, [copying(250_000_000)])).join('\n')).toContain(
      'database/orders  running  initialSync  ████████░░░░░░░░  50 %',
    );
  });

  test('keeps words and few bars where it is narrow', () => {
    const values = Array.from({ length: LOOKS_KEPT }, () => 0.01);
    const lines = shown(moving(web({}, { recent: [{ ...ERRORS, values }] })), { columns: 50, rows: 50 });
    expect(lines).toContain('traffic/web  running  ██████  green 25 %  step 2 …');
    expect(lines).toContain('  ✓ error-ratio: ██████████ green 10 of 1,000 = 1…');
  });

  test('is never wider than the terminal, with colours or without', () => {
    for (const colour of [false, true]) {
      for (const columns of [20, 40, 80]) {
        const lines = shown(moving(orders(), web()), { columns, rows: 50 }, colour).map(stripVTControlCharacters);
        expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(columns);
        expect(lines.some((line) => line.endsWith('…'))).toBe(true);
      }
    }
  });

  test('is never higher than the terminal: the units stay, the end is left out and counted', () => {
    const lines = shown(needsAttention, { columns: 80, rows: 8 });
    expect(lines).toHaveLength(7);
    expect(lines[0]).toMatch(/^orders-move {2}needs-attention/);
    expect(lines.join('\n')).toMatch(/… \d+ more lines; a higher terminal shows them\n\nCtrl-C/);
  });

  test('ends with what a person can do', () => {
    expect(shown(needsAttention).join('\n')).toContain('→ godwit retry orders-move');
  });
});

describe('godwit status', () => {
  const text = statusText(moving(orders(), web()), { colours: picocolors.createColors(false), now: NOW, wide: false });

  test('shows the way that lag and gates go', () => {
    expect(text).toContain('lag ▂▃█▄ 3.0 ms  2d 23h left to watch');
    expect(text).toContain('✓ error-ratio: ▁▃▅·█ green 10 of 1,000');
    expect(text).toContain('██  green 25 %  steps 10 25 50 75 100  1m 20s left at this step');
  });
});

describe('a watched pipe', () => {
  const lines = (before: MigrationView, after: MigrationView) =>
    changes(before, after, NOW).map((line) => line.replace(/^12:00:00 {2}/, ''));

  test('gets a line for each weight, and none for each look', () => {
    expect(lines(moving(web({}, { weight: 10, log: [] })), moving(web()))).toEqual([
      'traffic/web: green gets 25 % (step 2 of 5)',
    ]);
    expect(lines(moving(web()), moving(web({}, { held: 80_000, recent: [] })))).toEqual([]);
  });
});
