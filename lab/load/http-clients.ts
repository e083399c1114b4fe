/**
 * The clients of a load that speak to the application, through a load balancer and, where the URL has a name, through DNS. Nothing
 * is ever tried again, so what clients saw fail is what users would have seen.
 */
import { Agent, request as send, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import { Resolver } from '../dns/resolver.js';
import { now } from './clock.js';
import type { RunningLoad } from './clients.js';
import { pace } from './pace.js';
import type { LoadSettings } from './protocol.js';
import type { RecordedRequest, RequestKind } from './record.js';
import { openTally } from './tally.js';

/**
 * Each with a resolver of its own, whose memory is its own: with one for all, a weighted record would move all of them at
 * once, which it doesn't do to the users of a real name.
 */
const USERS = 64;
const TIMEOUT_MS = 60_000;

const RECEIPT = z.object({
  outcome: z.enum(['acknowledged', 'failed', 'unknown']),
  server: z.string().nullable(),
  at: z.number().nullable(),
  error: z.string().nullable(),
});

type Ending = Pick<RecordedRequest, 'outcome' | 'server' | 'acceptedAt' | 'error' | 'version'>;

export async function runHttpLoad(settings: LoadSettings): Promise<RunningLoad> {
  const { turn } = pace(settings.rate);
  const tally = await openTally(settings);
  const agent = new Agent({ keepAlive: true });
  const url = new URL(settings.url);
  const { dns } = settings;
  const users = dns === null ? [] : Array.from({ length: USERS }, () => new Resolver({ root: dns }));
  const kinds = Object.entries(settings.mix) as [RequestKind, number][];
  const sum = kinds.reduce((total, [, weight]) => total + weight, 0);
  let stopping = false;

  const place = async (): Promise<string | null> => {
    const user = users[Math.floor(Math.random() * users.length)];
    if (user === undefined) return url.hostname;
    const addresses = await user.addresses(url.hostname);
    return addresses[Math.floor(Math.random() * addresses.length)] ?? null;
  };

  const client = async (): Promise<void> => {
    while (!stopping) {
      await turn();
      const id = tally.nextId();
      if (id === null) return;
      let point = Math.random() * sum;
      const kind = kinds.find(([, weight]) => (point -= weight) < 0)?.[0] ?? 'read';
      const startedAt = now();
      const host = await place();
      const ending = host === null ? FAILED('NO_ADDRESS') : await askOnce(agent, url, host, kind, id);
      tally.finish({ id, kind, startedAt, endedAt: now(), ...ending });
    }
  };
  const clients = Array.from({ length: settings.clients }, client);

  return {
    run: tally.run,
    snapshot: tally.snapshot,
    within: tally.within,
    stop: async () => {
      stopping = true;
      await Promise.all(clients);
      agent.destroy();
      return tally.close();
    },
  };
}

const FAILED = (error: string): Ending => ({ outcome: 'failed', server: null, acceptedAt: null, error, version: null });

function askOnce(agent: Agent, url: URL, host: string, kind: RequestKind, id: string): Promise<Ending> {
  return new Promise((resolve) => {
    const body = kind === 'read' ? null : JSON.stringify({ id });
    const asked = send({
      host,
      port: url.port,
      agent,
      method: body === null ? 'GET' : 'POST',
      path: kind === 'read' ? '/browse' : `/${kind}`,
      timeout: TIMEOUT_MS,
      headers: { host: url.host, ...(body === null ? {} : { 'content-length': Buffer.byteLength(body) }) },
    });
    asked.on('response', (response) => {
      endingOf(response).then(resolve, () => resolve({ ...FAILED('BROKEN_ANSWER'), outcome: 'unknown' }));
    });
    asked.on('timeout', () => asked.destroy(Object.assign(new Error('too late'), { code: 'CLIENT_TIMEOUT' })));
    asked.on('error', (error) => {
      const code = 'code' in error && typeof error.code === 'string' ? error.code : 'CONNECTION_LOST';
      // Without a connection the request never left; otherwise its effect may be there.
      resolve({ ...FAILED(code), outcome: code === 'ECONNREFUSED' ? 'failed' : 'unknown' });
    });
    asked.end(body);
  });
}

async function endingOf(response: IncomingMessage): Promise<Ending> {
  const version = response.headers['x-version'];
  if (typeof version === 'string') {
    const { at, ...receipt } = RECEIPT.parse(await json(response));
    return { ...receipt, acceptedAt: at, version };
  }
  response.resume();
  const status = response.statusCode ?? 0;
  // The load balancer's own: 503 means that it had nobody to send it to; behind 502 and 504 it may have been done.
  return { ...FAILED(`HTTP_${status}`), outcome: status === 502 || status === 504 ? 'unknown' : 'failed' };
}
