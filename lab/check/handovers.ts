/**
 * One writer, judged by when each server accepted each write. The moment is read inside the transaction after its first
 * write has passed, while it holds locks that a fence waits for. So if writes went from A to B by a switch, every moment
 * of A lies before the fence, and every moment of B after the opening: sorted by moment, all of A come before all of B.
 * An order like A B A means that one took writes after the other had begun to; unless a switch back lies between.
 */
import type { Microseconds } from '../load/record.js';

export interface Acceptance {
  id: string;
  server: string;
  at: Microseconds;
}

/** Neighbouring writes that different servers accepted. */
export interface Handover {
  from: Acceptance;
  to: Acceptance;
}

/** From before the first step of a switch until after its last one. */
export interface SwitchWindow {
  from: Microseconds;
  to: Microseconds;
}

/** A window is wider than its switch by this: which handovers it may explain is bounded by their number, not by its size. */
const MARGIN: Microseconds = 1_000_000;

/** The windows of switches as a migration's status tells them: `at` is when it was done. */
export function switchWindows(switches: { at: string; pauseMs: number }[]): SwitchWindow[] {
  return switches.map(({ at, pauseMs }) => {
    const done = Date.parse(at) * 1_000;
    return { from: done - pauseMs * 1_000 - MARGIN, to: done + MARGIN };
  });
}

/** In the order of time. */
export function handovers(accepted: Acceptance[]): Handover[] {
  const sorted = [...accepted].sort((a, b) => a.at - b.at);
  return sorted.flatMap((to, i) => {
    const from = sorted[i - 1];
    return from !== undefined && from.server !== to.server ? [{ from, to }] : [];
  });
}

/**
 * Handovers that no switch explains: moments with two writers. Each switch explains one at most, namely the first that
 * happened during its window. Where only their number is known, that many are explained.
 */
export function unexplained(found: Handover[], switches: SwitchWindow[] | { count: number }): Handover[] {
  if (!Array.isArray(switches)) return found.slice(switches.count);
  const left = [...switches].sort((a, b) => a.from - b.from);
  return found.filter(({ from, to }) => {
    const by = left.findIndex((window) => window.from <= to.at && window.to >= from.at);
    if (by < 0) return true;
    left.splice(0, by + 1);
    return false;
  });
}
