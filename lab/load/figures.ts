/** What the requests of a load add up to. */
import type { RecentRequest } from './recent.js';
import type { Microseconds } from './record.js';

export interface Window {
  from: Microseconds;
  to: Microseconds;
}

export interface WindowFigures {
  /** Requests under way at any moment of the window. */
  requests: number;
  failed: number;
  unknown: number;
  worstMs: number;
  p99Ms: number;
  /** Longest time without an accepted write: the write pause as clients had it. */
  writeGapMs: number;
}

/** What clients saw in a window, for instance around a switch. `requests` in any order. */
export function within(requests: Iterable<RecentRequest>, { from, to }: Window): WindowFigures {
  const latencies: number[] = [];
  const accepted: number[] = [];
  let failed = 0;
  let unknown = 0;
  for (const request of requests) {
    if (request.acceptedAt !== null && request.acceptedAt >= from && request.acceptedAt <= to) {
      accepted.push(request.acceptedAt);
    }
    if (request.endedAt < from || request.startedAt > to) continue;
    latencies.push(request.endedAt - request.startedAt);
    if (request.outcome === 'failed') failed += 1;
    if (request.outcome === 'unknown') unknown += 1;
  }
  latencies.sort((a, b) => a - b);
  accepted.sort((a, b) => a - b);
  const gap = accepted.reduce((widest, at, i) => Math.max(widest, at - (accepted[i - 1] ?? at)), 0);
  return {
    requests: latencies.length,
    failed,
    unknown,
    worstMs: (latencies.at(-1) ?? 0) / 1_000,
    p99Ms: (latencies[Math.ceil(latencies.length * 0.99) - 1] ?? 0) / 1_000,
    writeGapMs: gap / 1_000,
  };
}
