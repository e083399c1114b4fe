/** How figures and lists read in findings. */
import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';

/** Findings travel through workflow histories, so a list names at most this many. */
const NAMED_AT_MOST = 20;

/** `a, b, c and 4 more`. */
export function listed(items: string[]): string {
  const named = items.slice(0, NAMED_AT_MOST).join(', ');
  const rest = items.length - NAMED_AT_MOST;
  return rest > 0 ? `${named} and ${rest} more` : named;
}

/** One repair for each, as many as are named. */
export function each<T>(items: T[], repair: (item: T) => string): string[] {
  return [...new Set(items.map(repair))].slice(0, NAMED_AT_MOST);
}

export const bytesText = (bytes: number): string => prettyBytes(bytes);

export const secondsText = (seconds: number): string =>
  prettyMilliseconds(seconds * 1000, { secondsDecimalDigits: seconds < 10 ? 1 : 0 });

export const percentText = (share: number): string => `${Math.floor(share * 100)} %`;
