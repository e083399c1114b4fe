/** Shares as people write them: `1%`, `0.5%`. */
import { parsed, unreadable, type Parsed } from './parsed.js';

/** For editors; `parsePercent` says more. */
export const PERCENT_PATTERN = '^[0-9]+(\\.[0-9]+)? ?%$';

const EXPECTED = 'expected a share such as 1% or 0.5%';

/** 0 to 1. */
export function parsePercent(text: string): Parsed<number> {
  if (/^\d+(\.\d+)?$/.test(text)) return unreadable(`${EXPECTED}; ${text} has no unit: write ${text}%`);
  if (!new RegExp(PERCENT_PATTERN).test(text)) return unreadable(EXPECTED);
  const share = Number(text.replace(/ ?%$/, '')) / 100;
  return share <= 1 ? parsed(share) : unreadable(`${EXPECTED}, at most 100%`);
}

/** As it would be written: `0.005` is `0.5%`. */
export function formatPercent(share: number): string {
  // 0.07 × 100 is 7.000000000000001 in floating point.
  return `${Number((share * 100).toPrecision(12))}%`;
}
