/** How long steps take, with the figures that the guesses rest on. */
import prettyBytes from 'pretty-bytes';
import type { NormalDatabase } from '../../spec/normal.js';
import type { PlanStep } from '../../spec/plan.js';
import type { Size } from './size.js';

type Estimate = PlanStep['estimate'];

/** 5 M rows, 1.3 GB with their indexes, took 13.7–14.0 s with two ranges at once on two cores: a little less, to be on the safe side. */
const COPIED_BYTES_PER_SECOND = 80e6;
/** The same rows were compared in 6.6 s. */
const COMPARED_BYTES_PER_SECOND = 200e6;

export const none = (basis: string): Estimate => ({ seconds: null, basis: `no estimate: ${basis}` });

export const upTo = (seconds: number, basis: string): Estimate => ({ seconds, basis });

export function copyEstimate(size: Size, { rateLimit }: NormalDatabase['copy']): Estimate {
  const total = size.bytes + size.indexBytes;
  const measured = total / COPIED_BYTES_PER_SECOND;
  const limited = rateLimit === null ? 0 : size.bytes / rateLimit;
  const what = `${prettyBytes(size.bytes)} of tables and ${prettyBytes(size.indexBytes)} of indexes`;
  if (limited > measured) {
    return { seconds: Math.ceil(limited), basis: `${what}, at copy.rateLimit of ${prettyBytes(rateLimit ?? 0)}/s` };
  }
  return {
    seconds: Math.ceil(measured),
    basis: `${what}, at ${prettyBytes(COPIED_BYTES_PER_SECOND)}/s as measured on two cores`,
  };
}

/**
 * Rows of unlogged tables go by one connection, into tables that have their indexes already: 1 M rows, 242 MB with three indexes,
 * took 4.2 to 5.7 s on two cores that others used, too.
 */
const CARRIED_BYTES_PER_SECOND = 40e6;

/** Seconds of the write pause. */
export function carryEstimate({
  bytes,
  indexBytes,
}: Pick<Size, 'bytes' | 'indexBytes'>): Estimate & { seconds: number } {
  return {
    seconds: (bytes + indexBytes) / CARRIED_BYTES_PER_SECOND,
    basis: `${prettyBytes(bytes + indexBytes)} with indexes, at ${prettyBytes(CARRIED_BYTES_PER_SECOND)}/s as measured on two cores`,
  };
}

export function validationEstimate(size: Size): Estimate {
  return {
    seconds: Math.ceil(size.bytes / COMPARED_BYTES_PER_SECOND),
    basis: `${prettyBytes(size.bytes)} on each side, at ${prettyBytes(COMPARED_BYTES_PER_SECOND)}/s as measured on two cores`,
  };
}
