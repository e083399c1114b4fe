/** Figures as the judge says them. Pure. */
import { formatDuration } from '../../spec/duration.js';
import type { Milliseconds } from '../../spec/normal.js';
import type { Unit } from '../../spec/recent.js';

/** Two significant digits from 1 % down, as `2.3 %`; `312 ms`; `1,240`. */
export function shown(value: number, unit: Unit): string {
  if (unit === 'share') return `${digits(value * 100)} %`;
  return unit === 'ms' ? `${digits(value)} ms` : digits(value);
}

export function interval(lower: number, upper: number, unit: Unit): string {
  const suffix = unit === 'share' ? ' %' : unit === 'ms' ? ' ms' : '';
  if (upper === Infinity) return `95 % interval from ${shown(lower, unit)} up`;
  const scale = unit === 'share' ? 100 : 1;
  return `95 % interval ${digits(lower * scale)}–${digits(upper * scale)}${suffix}`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** In seconds and more: looks are no more exact than that. */
export function time(duration: Milliseconds): string {
  return formatDuration(duration < 1_000 ? Math.round(duration) : Math.round(duration / 1_000) * 1_000);
}

function digits(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(2)));
}
