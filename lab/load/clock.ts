/** The wall clock in microseconds, which Date.now() gives only in milliseconds. */
import type { Microseconds } from './record.js';

/** The monotonic clock is steered apart from the wall clock by up to 0.5 ms a second; so it is set anew each second. */
const ANCHOR_FOR_MS = 1_000;

let anchor = 0;
let anchoredAt = -Infinity;

export function now(): Microseconds {
  const monotonic = performance.now();
  if (monotonic - anchoredAt > ANCHOR_FOR_MS) {
    anchor = Date.now() - monotonic;
    anchoredAt = monotonic;
  }
  return Math.round((anchor + monotonic) * 1_000);
}
