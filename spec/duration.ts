/**
 * Durations as people write them: `90s`, `72h`, `1h30m`, `1.5h`, `250ms`.
 * The package `ms` reads neither `1h30m` nor refuses a number without a unit, hence this.
 */
import type { Milliseconds } from './normal.js';
import { parsed, unreadable, type Parsed } from './parsed.js';

const UNITS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
type Unit = keyof typeof UNITS;
/** Largest first, which is also the order in which they are written. */
const ORDER: readonly Unit[] = ['w', 'd', 'h', 'm', 's', 'ms'];

/** For editors; `parseDuration` says more. */
export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$';

const EXPECTED = 'expected a duration such as 30s, 5m, 1h30m or 3d';
const PIECE = /(\d+(?:\.\d+)?)(ms|[smhdw])/y;

/** The duration in whole milliseconds. */
export function parseDuration(text: string): Parsed<Milliseconds> {
  if (/^\d+(\.\d+)?$/.test(text)) {
    return unreadable(`${EXPECTED}; ${text} has no unit: write ${text}s for seconds or ${text}m for minutes`);
  }
  let total = 0;
  let position = 0;
  let previous = -1;
  while (position < text.length) {
    PIECE.lastIndex = position;
    const match = PIECE.exec(text);
    const unit = ORDER.findIndex((known) => known === match?.[2]);
    const name = ORDER[unit];
    if (match === null || name === undefined) {
      return unreadable(`${EXPECTED}; its units are ms, s, m, h, d and w, written without spaces`);
    }
    if (unit <= previous) return unreadable(`${EXPECTED}; write each unit once, the largest first`);
    total += Number(match[1]) * UNITS[name];
    previous = unit;
    position = PIECE.lastIndex;
  }
  if (position === 0) return unreadable(`${EXPECTED}; it is empty`);
  // 1.1h is 3960000.0000000005 in floating point; a real fraction of a millisecond is far above that.
  const whole = Math.round(total);
  if (Math.abs(total - whole) > 1e-6) return unreadable(`${EXPECTED}; the smallest unit is one millisecond`);
  if (!Number.isSafeInteger(whole)) return unreadable(`${EXPECTED}; this one is too long to count`);
  return parsed(whole);
}

/** As it would be written: `5400000` is `1h30m`. Whole milliseconds, not negative. */
export function formatDuration(duration: Milliseconds): string {
  let rest = duration;
  let text = '';
  for (const unit of ORDER) {
    // 72h stays 72h, as people write it; weeks and days appear only when they are all there is.
    if ((unit === 'w' || unit === 'd') && (rest % UNITS[unit] !== 0 || rest <= 3 * UNITS.d)) continue;
    const count = Math.floor(rest / UNITS[unit]);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * UNITS[unit];
  }
  return text === '' ? '0s' : text;
}
