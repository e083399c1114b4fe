/** What a share that was seen says of the share that is. */
import jstat from 'jstat';

/** Of a share, by Clopper and Pearson: never narrower than it says, also for few and for shares near 0 and 1. */
export interface Bounds {
  low: number;
  high: number;
}

/** A look is wrong once in a thousand: a shift asks some ten times. */
const CONFIDENCE = 0.999;
/** What is seen may straddle the change by seconds, and weights are met to a percent. */
const TOLERANCE = 0.01;
/** Bounds this far apart say nothing: 35 requests at 0 %, 270 at 50 %. */
const WIDEST = 0.2;

export function bounds(hits: number, seen: number, confidence = CONFIDENCE): Bounds {
  const tail = (1 - confidence) / 2;
  return {
    low: hits === 0 ? 0 : jstat.beta.inv(tail, hits, seen - hits + 1),
    high: hits === seen ? 1 : jstat.beta.inv(1 - tail, hits + 1, seen - hits),
  };
}

export function verdictOn(hits: number, seen: number, share: number): 'proven' | 'differs' | 'insufficient' {
  if (seen === 0) return 'insufficient';
  const { low, high } = bounds(hits, seen);
  if (share < low - TOLERANCE || share > high + TOLERANCE) return 'differs';
  return high - low > WIDEST ? 'insufficient' : 'proven';
}

/** `612 of 2,480 = 24.7 %, 99.9 % interval 21.9–27.6 %`. */
export function shareText(hits: number, seen: number): string {
  const { low, high } = bounds(hits, seen);
  return `${grouped(hits)} of ${grouped(seen)} = ${percent(hits / seen)} %, ${CONFIDENCE * 100} % interval ${percent(low)}–${percent(high)} %`;
}

const percent = (share: number): string => (share * 100).toFixed(1);
const grouped = (count: number): string => count.toLocaleString('en-US');
