/** When a weekly window is open. UTC, as `Date` in a workflow is the time of its task. */
import type { CutoverWindow, Milliseconds } from '../spec/normal.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Milliseconds until an attempt may begin; 0 while the window is open or when there is none. */
export function opensIn(window: CutoverWindow | null, now: number): Milliseconds {
  if (window === null) return 0;
  const midnight = now - (now % DAY);
  // Yesterday's may run over midnight into today; the same weekday comes again within eight days.
  for (let day = -1; day <= 7; day += 1) {
    const start = midnight + day * DAY;
    if (!window.days.includes(new Date(start).getUTCDay())) continue;
    const opens = start + window.from * MINUTE;
    const closes = start + window.to * MINUTE + (window.to <= window.from ? DAY : 0);
    if (now < opens) return opens - now;
    if (now < closes) return 0;
  }
  return DAY;
}
