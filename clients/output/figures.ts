/** Figures as people read them. */
import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';
import type { Bytes, Milliseconds } from '../../spec/normal.js';

/** Two units at most: `1h 12m`, `3.4s`, `27ms`. */
export function duration(ms: Milliseconds): string {
  return prettyMilliseconds(
    ms,
    ms < 10_000 ? { secondsDecimalDigits: 1, unitCount: 1 } : { secondsDecimalDigits: 0, unitCount: 2 },
  );
}

/** For pauses and latencies, where a tenth of a millisecond tells something. */
export function fine(ms: Milliseconds): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : duration(ms);
}

export function bytes(amount: Bytes): string {
  return prettyBytes(amount, { maximumFractionDigits: 1 });
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `5,000,000`, the same in every locale, since logs travel. */
export function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

export function plural(amount: number, word: string): string {
  return `${count(amount)} ${word}${amount === 1 ? '' : 's'}`;
}

export function ago(iso: string, now: Date): string {
  const ms = now.getTime() - new Date(iso).getTime();
  return ms < 1000 ? 'just now' : `${duration(ms)} ago`;
}

/** `14:03:21`, or with the day when it isn't today; UTC, as workers log it. */
export function clock(iso: string, now: Date): string {
  const at = new Date(iso).toISOString();
  const sameDay = at.slice(0, 10) === now.toISOString().slice(0, 10);
  return sameDay ? at.slice(11, 19) : `${at.slice(0, 10)} ${at.slice(11, 19)}`;
}

/** Digests are read over a shoulder, not typed: the first twelve digits do. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}
