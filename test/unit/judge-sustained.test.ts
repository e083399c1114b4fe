import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fold, type Folded } from '../../activities/metrics/sustained.js';
import { VERDICTS, type GateState, type Verdict } from '../../spec/verdict.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const RULES = { sustained: 5 * MINUTE, consecutive: 2, window: 2 * MINUTE };

interface Seen {
  verdict: Verdict;
  severe?: boolean;
  leaning?: boolean;
}

/** Looks every `every` milliseconds; the state goes through JSON between them, as it does in a workflow. */
function folded(looks: Seen[], every = 10 * SECOND, rules = RULES): Folded[] {
  let state: GateState | null = null;
  return looks.map(({ verdict, severe = false, leaning = false }, index) => {
    const answer: Folded = fold(rules, { verdict, severe, leaning }, 1e12 + index * every, state, null);
    state = JSON.parse(JSON.stringify(answer.state)) as GateState;
    return answer;
  });
}

const times = (count: number, seen: Seen): Seen[] => Array.from({ length: count }, () => seen);
const FAIL: Seen = { verdict: 'fail' };
const PASS: Seen = { verdict: 'pass' };
const SEVERE: Seen = { verdict: 'fail', severe: true };
const LEANING: Seen = { verdict: 'insufficient', leaning: true };
const UNSURE: Seen = { verdict: 'insufficient' };

const whenFailed = (looks: Seen[], every?: number, rules = RULES): number =>
  folded(looks, every, rules).findIndex(({ decision }) => decision === 'fail');

describe('a breach', () => {
  test('fails once it has lasted five minutes, and holds until then', () => {
    const looks = folded(times(32, FAIL));
    expect(looks.slice(0, 30).every(({ decision }) => decision === 'hold')).toBe(true);
    expect(looks[30]).toMatchObject({ decision: 'fail', words: ', for 5m' });
    expect(looks[6]?.words).toBe(', so far for 1m of 5m');
  });

  test('at ten times the limit fails after one', () => {
    expect(whenFailed(times(10, SEVERE))).toBe(6);
    expect(folded(times(7, SEVERE))[6]?.words).toBe(', at over ten times the limit for 1m');
  });

  test('that a pass interrupts begins anew', () => {
    expect(whenFailed([...times(30, FAIL), PASS, ...times(31, FAIL)])).toBe(61);
  });

  test('is not ended by looks that could not tell, and their time does not count', () => {
    expect(whenFailed([...times(16, FAIL), ...times(20, { verdict: 'no-data' }), ...times(17, FAIL)])).toBe(51);
    expect(whenFailed([...times(16, FAIL), ...times(20, UNSURE), ...times(16, FAIL)])).toBe(51);
  });

  test('goes on while the figure is beyond the limit, if not surely', () => {
    expect(whenFailed([FAIL, ...times(40, LEANING), FAIL])).toBe(41);
    expect(whenFailed(times(60, LEANING))).toBe(-1);
  });

  test('takes as many looks in a row as asked for', () => {
    const usual = { ...RULES, sustained: 0, consecutive: 3 };
    expect(whenFailed([FAIL, FAIL, PASS, FAIL, FAIL, FAIL], 1, usual)).toBe(5);
  });

  test('does not last over a long pause between two looks', () => {
    expect(whenFailed([FAIL, FAIL, FAIL], 6 * 60 * MINUTE)).toBe(-1);
  });
});

describe('whatever is seen', () => {
  const look: fc.Arbitrary<Seen> = fc.record({
    verdict: fc.constantFrom(...VERDICTS),
    severe: fc.boolean(),
    leaning: fc.boolean(),
  });
  const every = fc.integer({ min: 1, max: 10 * MINUTE });

  test('only a look that fails decides so, and only one that passes lets pass', () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 80 }), every, (looks, rhythm) => {
        for (const [index, { decision }] of folded(looks, rhythm).entries()) {
          const { verdict } = looks[index] ?? PASS;
          expect(decision === 'pass').toBe(verdict === 'pass');
          if (decision === 'fail') expect(verdict).toBe('fail');
        }
      }),
    );
  });

  test('no evidence is neither good nor bad: without it a failure comes no sooner', () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), fc.nat(40), (looks, at) => {
        const place = Math.min(at, looks.length);
        const blind: Seen[] = [...looks.slice(0, place), { verdict: 'provider-error' }, ...looks.slice(place)];
        const before = whenFailed(looks);
        const after = whenFailed(blind);
        if (after >= 0 && after > place) expect(before).not.toBe(-1);
        if (before >= 0 && before < place) expect(after).toBe(before);
      }),
    );
  });

  test('a clock that goes backwards harms nothing', () => {
    const first = fold(RULES, { verdict: 'fail', severe: false, leaning: false }, 2_000, null, null);
    const second = fold(RULES, { verdict: 'fail', severe: false, leaning: false }, 1_000, first.state, null);
    expect(second.state).toMatchObject({ breachMs: 0, fails: 2 });
  });
});
