/** Gates in the words of a plan: what must hold, for how long a breach may last, and what it does. Pure. */
import { formatDuration } from '../../spec/duration.js';
import type { Limit, NormalMetricGate } from '../../spec/gates.js';
import { formatPercent } from '../../spec/percent.js';

/** `error-ratio at most 1%, else undo after 5m`. */
export function guardText(gate: NormalMetricGate): string {
  const { name, onFailure, sustained } = gate;
  return `${name} ${limitText(gate)}, else ${onFailure} after ${formatDuration(sustained)}`;
}

function limitText(gate: NormalMetricGate): string {
  switch (gate.kind) {
    case 'latency':
      return atMost(gate.limit, formatDuration);
    case 'errorRatio':
    case 'saturation':
      return atMost(gate.limit, formatPercent);
    case 'availability':
      return `at least ${formatPercent(gate.limit.absolute ?? 1)}`;
    case 'query':
      return gate.better === 'lower' ? atMost(gate.limit, String) : `at least ${joined(gate.limit, String, 'smaller')}`;
  }
}

const atMost = (limit: Limit, show: (value: number) => string): string => `at most ${joined(limit, show, 'larger')}`;

/** Of several limits the most generous counts. */
function joined(limit: Limit, show: (value: number) => string, which: 'larger' | 'smaller'): string {
  const { absolute, relativeToBlue, relativeToBaseline } = limit;
  const written = [
    ...(absolute === null ? [] : [show(absolute)]),
    ...(relativeToBlue === null ? [] : [`${relativeToBlue} × blue`]),
    ...(relativeToBaseline === null ? [] : [`${relativeToBaseline} × the baseline`]),
  ];
  return written.length < 2 ? written.join('') : `the ${which} of ${written.join(' and ')}`;
}
