/** The clients of a load that speak to the database, in this process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { now } from './clock.js';
import { connect, shopFigures } from './connect.js';
import type { WindowFigures } from './figures.js';
import { outcomeOf } from './outcome.js';
import { pace } from './pace.js';
import type { LoadSettings, LoadSnapshot } from './protocol.js';
import { requestMaker, type Statement } from './requests.js';
import { openTally } from './tally.js';

/** A client whose connection is refused asks again after this; a person's retry wouldn't come sooner. */
const RECONNECT_MS = 100;
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
  const makeRequest = requestMaker(figures, settings.mix);
  const { turn } = pace(settings.rate);
  const tally = await openTally(settings);
  const { finish } = tally;
  let stopping = false;

  const client = async (connection: pg.Client): Promise<void> => {
    let current: pg.Client | null = connection;
    while (!stopping) {
      await turn();
      const id = tally.nextId();
      if (id === null) break;
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

  return {
    run: tally.run,
    snapshot: tally.snapshot,
    within: tally.within,
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
      return tally.close();
    },
  };
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
