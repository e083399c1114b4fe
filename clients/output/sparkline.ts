/** A row of small bars: which way a figure went over the newest looks. */

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
/** A look that found no figure. */
const NOTHING = '·';

/**
 * From 0 up to the largest figure; to the limit, where there is one and nothing is beyond it, so that half of the height
 * is half of what is allowed.
 */
export function sparkline(values: readonly (number | null)[], limit: number | null = null): string {
  const known = values.filter((value) => value !== null);
  const top = Math.max(limit ?? 0, ...known);
  return values.map((value) => (value === null ? NOTHING : barOf(value, top))).join('');
}

function barOf(value: number, top: number): string {
  if (top <= 0 || value <= 0) return BARS[0];
  return BARS[Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length))] ?? BARS[0];
}
