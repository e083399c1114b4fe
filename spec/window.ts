/** Weekly windows in UTC: `{days: [mon, tue], from: '22:00', to: '04:00'}` in a file, `mon-fri 22:00-04:00` on a command line. */
import type { CutoverWindow } from './normal.js';
import { parsed, unreadable, type Parsed } from './parsed.js';

/** In the order of `Date#getUTCDay`. */
export const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
export type Day = (typeof DAYS)[number];

/** For editors; `parseTimeOfDay` says more. */
export const TIME_PATTERN = '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$';

const EXPECTED = 'expected a window such as mon-fri 22:00-04:00, sat,sun 01:00-05:00 or daily 02:00-03:00 (UTC)';

/** Minutes since midnight. `24:00` is the end of the day. */
export function parseTimeOfDay(text: string): Parsed<number> {
  if (!new RegExp(TIME_PATTERN).test(text)) {
    return unreadable('expected a time of day from 00:00 to 24:00, in UTC, such as 22:30');
  }
  return parsed(Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
}

export function makeWindow(days: readonly Day[], from: number, to: number): Parsed<CutoverWindow> {
  if (from === 24 * 60) return unreadable('a window that begins at 24:00 begins at 00:00 of the day after: write that');
  if (from === to) return unreadable('the window is empty: from and to are the same; a whole day is 00:00 to 24:00');
  return parsed({ days: [...new Set(days.map((day) => DAYS.indexOf(day)))].sort(), from, to });
}

export function parseWindow(text: string): Parsed<CutoverWindow> {
  const match = /^([a-z,-]+) (\S{5})-(\S{5})$/.exec(text.trim().toLowerCase());
  const days = parseDays(match?.[1] ?? '');
  if (match === null || days === null) return unreadable(EXPECTED);
  const from = parseTimeOfDay(match[2] ?? '');
  const to = parseTimeOfDay(match[3] ?? '');
  if (!from.ok) return from;
  if (!to.ok) return to;
  return makeWindow(days, from.value, to.value);
}

function parseDays(text: string): Day[] | null {
  if (text === 'daily') return [...DAYS];
  const days: Day[] = [];
  for (const part of text.split(',')) {
    const [first, last, ...more] = part.split('-').map((name) => DAYS.findIndex((day) => day === name));
    if (first === undefined || first < 0 || last === -1 || more.length > 0) return null;
    const length = last === undefined ? 1 : ((last - first + 7) % 7) + 1;
    for (let step = 0; step < length; step += 1) days.push(DAYS[(first + step) % 7] ?? 'sun');
  }
  return days;
}
