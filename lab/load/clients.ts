/** The clients of a load, in this process. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'hdr-histogram-js';
import pg from 'pg';
import { now } from './clock.js';
import { within, type WindowFigures } from './figures.js';
import { outcomeOf, socketCode } from './outcome.js';
import { pace } from './pace.js';
import type { LoadSettings, LoadSnapshot } from './protocol.js';
import { RecentRequests } from './recent.js';
import { footerLine, headerLine, requestLine, type Outcome, type RecordedRequest } from './record.js';
import { requestMaker, type ShopFigures, type Statement } from './requests.js';

/** A client whose connection is refused asks again after this; a person's retry wouldn't come sooner. */
const RECONNECT_MS = 100;
const SNAPSHOT_SPAN_MS = 1_000;
/** What `within` may be asked about; a load that stands for days needs no more memory. */
const REMEMBER_MICROSECONDS = 5 * 60_000_000;

export interface RunningLoad {
  run: string;
  snapshot: () => LoadSnapshot;
  within: (from: number, to: number) => WindowFigures;
  /** Lets the requests under way end, and closes the record. */
  stop: () => Promise<LoadSnapshot>;
}

/** Connects all clients first: a load that can't start fails here, not in its record. */
export async function runLoad(settings: LoadSettings): Promise<RunningLoad> {
  const figures = await shopFigures(settings.url);
  const run = randomBytes(4).toString('hex');
  const makeRequest = requestMaker(figures, settings.mix);
  const { turn } = pace(settings.rate);
  const record = await openRecord(settings.record, run);
  const recent = new RecentRequests(REMEMBER_MICROSECONDS);
  const counts: Record<Outcome, number> = { acknowledged: 0, failed: 0, unknown: 0 };
  const errors: Record<string, number> = {};
  const histogram = build({ numberOfSignificantValueDigits: 3, highestTrackableValue: 600_000_000 });
  const began = performance.now();
  let lately = { at: began, count: 0, perSecond: 0 };
  let sent = 0;
  let finished = 0;
  let stopping = false;

  const finish = (request: RecordedRequest): void => {
    recent.add(request);
    finished += 1;
    counts[request.outcome] += 1;
    if (request.error !== null) errors[request.error] = (errors[request.error] ?? 0) + 1;
    histogram.recordValue(Math.max(0, request.endedAt - request.startedAt));
    record.write(request);
  };

  const client = async (connection: pg.Client): Promise<void> => {
    let current: pg.Client | null = connection;
    while (!stopping) {
      await turn();
      const id = requestId(run, (sent += 1));
      const statement = makeRequest(id);
      const startedAt = now();
      const request = { id, kind: statement.kind, startedAt, server: null, acceptedAt: null };
      if (current === null) {
        // Without a connection the request never leaves the client: it failed, and that is certain.
        const opened = await connect(settings.url);
        if (opened.client === null) {
          finish({ ...request, outcome: 'failed', endedAt: now(), error: opened.error });
          await sleep(RECONNECT_MS);
          continue;
        }
        current = opened.client;
      }
      try {
        const receipt = await ask(current, statement);
        finish({ ...request, ...receipt, outcome: 'acknowledged', endedAt: now(), error: null });
      } catch (error) {
        const { outcome, code } = outcomeOf(error);
        finish({ ...request, outcome, endedAt: now(), error: code });
        if (outcome === 'unknown') {
          void current.end().catch(() => undefined);
          current = null;
        }
      }
    }
    await current?.end().catch(() => undefined);
  };

  const opened = await Promise.all(Array.from({ length: settings.clients }, () => connect(settings.url)));
  const refused = opened.find(({ client: connection }) => connection === null);
  if (refused) throw new Error(`a client of the load could not connect: ${refused.error}`);
  const clients = opened.flatMap(({ client: connection }) => (connection === null ? [] : [client(connection)]));

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
    };
  };

  return {
    run,
    snapshot,
    within: (from, to) => within(recent.since(from), { from, to }),
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
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

interface ReceiptRow {
  server?: string;
  at?: number;
}

async function ask(
  client: pg.Client,
  { text, values }: Statement,
): Promise<{ server: string | null; acceptedAt: number | null }> {
  const { rows } = await client.query<ReceiptRow>(text, values);
  return { server: rows[0]?.server ?? null, acceptedAt: rows[0]?.at ?? null };
}

async function connect(url: string): Promise<{ client: pg.Client; error: null } | { client: null; error: string }> {
  const client = new pg.Client({ connectionString: url, application_name: 'shop', keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return { client, error: null };
  } catch (error) {
    return { client: null, error: socketCode(error) };
  }
}

async function shopFigures(url: string): Promise<ShopFigures> {
  const { client, error } = await connect(url);
  if (client === null) throw new Error(`the load could not connect: ${error}`);
  try {
    const { rows } = await client.query<ShopFigures>(`
      select (select max(id)::int from shop.customers) as customers,
             (select max(id)::int from shop.products) as products,
             (select max(id)::int from shop.account) as accounts`);
    const [figures] = rows;
    if (figures?.customers == null || figures.products == null || figures.accounts == null) {
      throw new Error('the shop has no rows; it is filled when the lab is made');
    }
    return figures;
  } finally {
    await client.end();
  }
}
