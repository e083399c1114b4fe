/** The record of a load: every request with its time and answer, one line each, so that a checker can hold it against the databases. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** Microseconds since the epoch: a double holds them exactly until the year 2255. */
export type Microseconds = number;

export const KINDS = ['transfer', 'order', 'visit', 'read'] as const;
export type RequestKind = (typeof KINDS)[number];

/**
 * `acknowledged`: the server said it is committed. `failed`: the server said it isn't. `unknown`: the connection was
 * lost in between, so it may be either. Nothing is ever tried again.
 */
export type Outcome = 'acknowledged' | 'failed' | 'unknown';

export interface RecordedRequest {
  id: string;
  kind: RequestKind;
  outcome: Outcome;
  /** By the client's clock: sent, and answered. */
  startedAt: Microseconds;
  endedAt: Microseconds;
  /** Which server took it, and when by its own clock, inside the transaction; null unless acknowledged, and for reads. */
  server: string | null;
  acceptedAt: Microseconds | null;
  /** SQLSTATE, or the socket's error; null when acknowledged. */
  error: string | null;
  /** Of the application that answered; absent where clients speak to the database. */
  version?: string | null;
}

export interface LoadRecord {
  /** First eight hex digits of every request id of this load. */
  run: string;
  requests: RecordedRequest[];
  /** False: the load's process was killed, and its last lines are missing. */
  complete: boolean;
}

const HEADER = z.object({ version: z.literal(1), run: z.string() });
const LINE = z.tuple([
  z.string(),
  z.enum(KINDS),
  z.enum(['acknowledged', 'failed', 'unknown']),
  z.number(),
  z.number(),
  z.string().nullable(),
  z.number().nullable(),
  z.string().nullable(),
  z.string().nullable().optional(),
]);
const FOOTER = z.object({ requests: z.number() });

export const headerLine = (run: string): string => JSON.stringify({ version: 1, run });
export const footerLine = (requests: number): string => JSON.stringify({ requests });
export const requestLine = (r: RecordedRequest): string =>
  JSON.stringify([r.id, r.kind, r.outcome, r.startedAt, r.endedAt, r.server, r.acceptedAt, r.error, ...versionOf(r)]);

const versionOf = ({ version }: RecordedRequest): (string | null)[] => (version === undefined ? [] : [version]);

/** Reads what a load wrote; 1 s for 300,000 requests. */
export async function readRecord(file: string): Promise<LoadRecord> {
  const requests: RecordedRequest[] = [];
  let run: string | null = null;
  let complete = false;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const parsed = parseLine(line);
    // A load that was killed leaves half a line at the end.
    if (parsed === undefined) continue;
    if (run === null) {
      run = HEADER.parse(parsed).run;
      continue;
    }
    if (Array.isArray(parsed)) requests.push(requestOf(LINE.parse(parsed)));
    else complete = FOOTER.parse(parsed).requests === requests.length;
  }
  if (run === null) throw new Error(`${file} is no record of a load: it has no first line`);
  return { run, requests, complete };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

function requestOf([id, kind, outcome, startedAt, endedAt, server, acceptedAt, error, version]: z.infer<
  typeof LINE
>): RecordedRequest {
  const request = { id, kind, outcome, startedAt, endedAt, server, acceptedAt, error };
  return version === undefined ? request : { ...request, version };
}
