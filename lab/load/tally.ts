/** What the clients of a load have in common, whatever they speak: ids, the record, the figures. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { build } from 'hdr-histogram-js';
import { within, type WindowFigures } from './figures.js';
import type { LoadSettings, LoadSnapshot } from './protocol.js';
import { RecentRequests } from './recent.js';
import { footerLine, headerLine, requestLine, type Outcome, type RecordedRequest } from './record.js';

const SNAPSHOT_SPAN_MS = 1_000;
/** What `within` may be asked about; a load that stands for days needs no more memory. */
const REMEMBER_MICROSECONDS = 5 * 60_000_000;

export interface Tally {
  run: string;
  /** Of the next request; null: there shall be no more. */
  nextId: () => string | null;
  finish: (request: RecordedRequest) => void;
  snapshot: () => LoadSnapshot;
  within: (from: number, to: number) => WindowFigures;
  /** The record is whole then. */
  close: () => Promise<LoadSnapshot>;
}

export async function openTally({ record: path, most }: Pick<LoadSettings, 'record' | 'most'>): Promise<Tally> {
  const run = randomBytes(4).toString('hex');
  const record = await openRecord(path, run);
  const recent = new RecentRequests(REMEMBER_MICROSECONDS);
  const counts: Record<Outcome, number> = { acknowledged: 0, failed: 0, unknown: 0 };
  const errors: Record<string, number> = {};
  const versions: Record<string, number> = {};
  const histogram = build({ numberOfSignificantValueDigits: 3, highestTrackableValue: 600_000_000 });
  const began = performance.now();
  let lately = { at: began, count: 0, perSecond: 0 };
  let sent = 0;
  let finished = 0;

  const snapshot = (): LoadSnapshot => {
    const at = performance.now();
    const span = at - lately.at;
    if (span >= SNAPSHOT_SPAN_MS / 2) {
      lately = { at, count: finished, perSecond: ((finished - lately.count) / span) * 1_000 };
    }
    return {
      seconds: (at - began) / 1_000,
      sent: finished,
      ...counts,
      perSecond: Math.round(lately.perSecond),
      latencyMs: {
        p50: histogram.getValueAtPercentile(50) / 1_000,
        p99: histogram.getValueAtPercentile(99) / 1_000,
        worst: histogram.maxValue / 1_000,
      },
      errors: { ...errors },
      versions: { ...versions },
    };
  };

  return {
    run,
    nextId: () => (most !== null && sent >= most ? null : requestId(run, (sent += 1))),
    finish: (request) => {
      recent.add(request);
      finished += 1;
      counts[request.outcome] += 1;
      if (request.error !== null) errors[request.error] = (errors[request.error] ?? 0) + 1;
      if (request.version) versions[request.version] = (versions[request.version] ?? 0) + 1;
      histogram.recordValue(Math.max(0, request.endedAt - request.startedAt));
      record.write(request);
    },
    snapshot,
    within: (from, to) => within(recent.since(from), { from, to }),
    close: async () => {
      const last = snapshot();
      await record.close(finished);
      return last;
    },
  };
}

interface RecordFile {
  write: (request: RecordedRequest) => void;
  close: (requests: number) => Promise<void>;
}

async function openRecord(path: string | null, run: string): Promise<RecordFile> {
  if (path === null) return { write: () => undefined, close: () => Promise.resolve() };
  const file = createWriteStream(path);
  await once(file, 'open');
  file.write(`${headerLine(run)}\n`);
  return {
    write: (request) => file.write(`${requestLine(request)}\n`),
    close: async (requests) => {
      file.end(`${footerLine(requests)}\n`);
      await once(file, 'close');
    },
  };
}

/** Ids of one run are next to each other, so that the checker finds them by their index. A valid UUID, version 8. */
export function requestId(run: string, sequence: number): string {
  return `${run}-0000-8000-8000-${sequence.toString(16).padStart(12, '0')}`;
}
