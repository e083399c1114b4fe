/** What the newest looks saw, a few figures long, so that people see which way it goes. Pure. */
import type { NormalMetricGate } from './gates.js';
import type { Decision, GateVerdict, Verdict } from './verdict.js';

export type Unit = 'share' | 'ms' | 'number';

/** One figure over the newest looks. */
export interface Series {
  /** Of the gate, or `lag`. */
  name: string;
  unit: Unit;
  /** Of the newest look; null: not known, or there is none. */
  limit: number | null;
  verdict: Verdict | null;
  /** Null: nobody judges it. */
  decision: Decision | null;
  /** Oldest first. Null: that look found none. */
  values: (number | null)[];
}

/** Looks that are kept: half a line, and half a kilobyte in a status. */
export const LOOKS_KEPT = 30;
/** Gates whose figures are kept; carried along by every continue-as-new. */
const SERIES_KEPT = 8;
const DIGITS = 3;

export function unitOf({ kind }: NormalMetricGate): Unit {
  if (kind === 'latency') return 'ms';
  return kind === 'query' ? 'number' : 'share';
}

/** One more look at gates. Those that are no longer asked are forgotten. */
export function seen(
  before: readonly Series[] | undefined,
  verdicts: readonly GateVerdict[],
  gates: readonly NormalMetricGate[],
): Series[] {
  const judged = verdicts.flatMap(({ gate: name, verdict, decision, figures }): Series[] => {
    const gate = gates.find((one) => one.name === name);
    if (gate === undefined) return [];
    return [
      {
        name,
        unit: unitOf(gate),
        limit: rounded(figures?.limit),
        verdict,
        decision,
        values: [rounded(figures?.value)],
      },
    ];
  });
  const asked = before?.filter(({ name, decision }) => decision === null || judged.some((one) => one.name === name));
  return joined(asked, judged);
}

/** One more look at a figure that nobody judges. */
export function observed(
  before: readonly Series[] | undefined,
  name: string,
  unit: Unit,
  value: number | null,
): Series[] {
  return joined(before, [{ name, unit, limit: null, verdict: null, decision: null, values: [rounded(value)] }]);
}

/** The newest last; what isn't among them stays as it is. */
function joined(before: readonly Series[] = [], newest: Series[]): Series[] {
  const grown = newest.map((one) => {
    const values = before.find(({ name }) => name === one.name)?.values ?? [];
    return { ...one, values: [...values, ...one.values].slice(-LOOKS_KEPT) };
  });
  const others = before.filter(({ name }) => !newest.some((one) => one.name === name));
  return [...others, ...grown].slice(-SERIES_KEPT);
}

function rounded(value: number | null | undefined): number | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return Number(value.toPrecision(DIGITS));
}
