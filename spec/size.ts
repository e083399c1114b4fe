/** Sizes as people write them: `16MB`, `1GiB`, `512kB`. `kB`, `MB`, … count in thousands; `KiB`, `MiB`, … in 1,024s. */
import type { Bytes } from './normal.js';
import { parsed, unreadable, type Parsed } from './parsed.js';

const UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['kB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);

/** For editors; `parseSize` says more. */
export const SIZE_PATTERN = '^[0-9]+(\\.[0-9]+)?(B|[kK]B|[MGT]B|[KMGT]iB)$';

const EXPECTED = 'expected a size such as 512kB, 16MB or 1GiB';

/** The size in whole bytes. */
export function parseSize(text: string): Parsed<Bytes> {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text);
  if (match === null) return unreadable(`${EXPECTED}; a number and its unit, without spaces`);
  const [, digits, unit] = match;
  if (unit === '') return unreadable(`${EXPECTED}; ${text} has no unit: write ${text}MB for megabytes`);
  const factor = UNITS.get(unit === 'KB' ? 'kB' : (unit ?? ''));
  if (factor === undefined) return unreadable(`${EXPECTED}; its units are ${[...UNITS.keys()].join(', ')}`);
  const bytes = Number(digits) * factor;
  const whole = Math.round(bytes);
  if (Math.abs(bytes - whole) > 1e-3) return unreadable(`${EXPECTED}; the smallest unit is one byte`);
  if (!Number.isSafeInteger(whole)) return unreadable(`${EXPECTED}; this one is too large to count`);
  return parsed(whole);
}

/** As it would be written, exactly, in the largest unit that needs no fraction: `1073741824` is `1GiB`. */
export function formatSize(bytes: Bytes): string {
  const [unit, factor] = [...UNITS]
    .filter(([, size]) => bytes >= size && bytes % size === 0)
    .reduce((largest, next) => (next[1] > largest[1] ? next : largest), ['B', 1] as [string, number]);
  return `${bytes / factor}${unit}`;
}
