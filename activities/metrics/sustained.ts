/**
 * Many looks at one gate: a breach fails once it has lasted. Pure: a fold over looks, whose state the workflow keeps.
 *
 * - Time counts as breach between two looks that both found it, at most a gate's window of it, since a look says nothing
 *   of what was before that.
 * - A look that could not tell ends no breach: no evidence is not good evidence. Its time counts only where the figure was
 *   beyond the limit, if not surely.
 * - A pass ends it.
 */
import { FAST_ABORT_AFTER, type NormalMetricGate } from '../../spec/gates.js';
import type { Milliseconds } from '../../spec/normal.js';
import type { Decision, GateState, Reference } from '../../spec/verdict.js';
import type { Look } from './judge.js';
import { time } from './words.js';

export interface Folded {
  state: GateState;
  decision: Decision;
  /** What to add to the look's explanation; empty: nothing. */
  words: string;
}

type Rules = Pick<NormalMetricGate, 'sustained' | 'consecutive' | 'window'>;

export function fold(
  gate: Rules,
  look: Pick<Look, 'verdict' | 'severe' | 'leaning'>,
  at: Milliseconds,
  before: GateState | null,
  baseline: Reference | null,
): Folded {
  const base = { lastAt: at, lastVerdict: look.verdict, baseline };
  if (look.verdict === 'pass') {
    const state = { ...base, breachMs: 0, severeMs: 0, fails: 0, inBreach: false, severe: false };
    return { state, decision: 'pass', words: '' };
  }
  const elapsed = before === null ? 0 : Math.min(gate.window, Math.max(0, at - before.lastAt));
  const inBreach = look.verdict === 'fail' || (look.leaning && (before?.fails ?? 0) > 0);
  const breachMs = (before?.breachMs ?? 0) + (inBreach && before?.inBreach === true ? elapsed : 0);
  const severe = look.verdict === 'fail' && look.severe;
  const severeMs = severeTime(look, severe, before, elapsed);
  const fails = (before?.fails ?? 0) + (look.verdict === 'fail' ? 1 : 0);
  const state: GateState = { ...base, breachMs, severeMs, fails, inBreach, severe };
  if (look.verdict !== 'fail') {
    const words = fails > 0 ? `; the breach seen before (${time(breachMs)}) is neither over nor proven to last` : '';
    return { state, decision: 'hold', words };
  }
  const fast = severe && severeMs >= Math.min(gate.sustained, FAST_ABORT_AFTER);
  if (fails >= gate.consecutive && (breachMs >= gate.sustained || fast)) {
    const why =
      breachMs >= gate.sustained ? `for ${time(breachMs)}` : `at over ten times the limit for ${time(severeMs)}`;
    return { state, decision: 'fail', words: `, ${why}` };
  }
  const left = severe
    ? `${time(severeMs)} of ${time(Math.min(gate.sustained, FAST_ABORT_AFTER))} at over ten times the limit`
    : `${time(breachMs)} of ${time(gate.sustained)}`;
  const times = fails < gate.consecutive ? `, ${fails} of ${gate.consecutive} looks` : '';
  return { state, decision: 'hold', words: `, so far for ${left}${times}` };
}

function severeTime(
  look: Pick<Look, 'verdict'>,
  severe: boolean,
  before: GateState | null,
  elapsed: Milliseconds,
): Milliseconds {
  if (look.verdict !== 'fail') return before?.severeMs ?? 0;
  if (!severe) return 0;
  return (before?.severeMs ?? 0) + (before?.severe === true ? elapsed : 0);
}
