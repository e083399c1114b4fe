/** Providers that the worker calls itself: smoke tests and web hooks, against real servers. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { judge } from '../../activities/metrics/looking.js';
import { Metrics, normalProviders, type NormalProvider } from '../../spec/metrics.js';
import type { GateVerdict } from '../../spec/verdict.js';
import { gateOf } from '../support/gates.js';

interface Seen {
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

let server: Server;
let sockets: WebSocketServer;
let seen: Seen[] = [];
let answer: (path: string, response: ServerResponse, request: Seen) => void = (_, response) => response.end();

beforeAll(async () => {
  server = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
      const one = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts).toString('utf8') };
      seen.push(one);
      answer(one.path, response, one);
    })();
  });
  sockets = new WebSocketServer({ server, path: '/live' });
  sockets.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  for (const socket of sockets.clients) socket.terminate();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});
beforeEach(() => {
  seen = [];
});

const host = (): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

function providerOf(written: object): NormalProvider {
  const [provider] = normalProviders(Metrics.parse({ asked: written }));
  return provider ?? expect.fail('no provider');
}

async function verdictOf(provider: NormalProvider, gate: object): Promise<GateVerdict> {
  const now = Date.now();
  const { gates } = await judge({
    migration: 'shop',
    unit: 'database/shop',
    gates: [gateOf(gate, {}, provider)],
    providers: [provider],
    subject: { green: { labels: { host: host() } }, blue: null },
    at: now,
    since: now - 60_000,
    baseline: null,
    state: null,
  });
  return gates[0] ?? expect.fail('no verdict');
}

describe('smoke tests', () => {
  const smoke = (check: object): NormalProvider =>
    providerOf({ smoke: { timeout: '30s', checks: [{ name: 'front-page', ...check }] } });
  const look = (check: object): Promise<GateVerdict> => verdictOf(smoke(check), { availability: { absolute: '100%' } });

  test('pass where status, headers, body and time are as expected', async () => {
    answer = (_, response) =>
      response.setHeader('content-type', 'text/html; charset=utf-8').end('<h1>Add to cart</h1>');
    const expected = { body: 'Add to cart', headers: { 'content-type': 'text/html' }, within: '20s' };
    expect(await look({ http: { url: 'http://{host}/', expect: expected } })).toMatchObject({
      verdict: 'pass',
      explanation: 'now 1 of 1 = 100 %, least 100 %: passes',
    });
  });

  test.each<[string, object, RegExp]>([
    ['another status', { status: 204 }, /front-page: GET http:.*: status 200, expected 204/],
    ['another body', { body: 'Add to cart' }, /its body lacks the expected "Add to cart"/],
    ['another header', { headers: { etag: 'x' } }, /header etag lacks the expected "x"/],
  ])('fail at %s, and say what was expected', async (_, expected, message) => {
    answer = (__, response) => response.end('s3cret content');
    const { verdict, explanation } = await look({ http: { url: 'http://{host}/', expect: expected } });
    expect(verdict).toBe('fail');
    expect(explanation).toMatch(message);
    expect(explanation).not.toContain('s3cret');
  });

  test('fail where nobody answers in time, or at all', async () => {
    answer = () => undefined;
    expect((await look({ http: { url: 'http://{host}/', expect: { within: '100ms' } } })).explanation).toMatch(
      /no answer within 1\d\d ms/,
    );
    expect((await look({ http: { url: 'http://127.0.0.1:9/' } })).verdict).toBe('fail');
  });

  test('log in, and carry the cookie on; the password stays out of what is said', async () => {
    process.env['TEST_SMOKE_BODY'] = 'user=ann&pass=hunter2hunter2';
    answer = (path, response, { headers, body }) => {
      if (path === '/session' && body.includes('hunter2hunter2')) {
        response.setHeader('set-cookie', ['session=abc; Path=/; HttpOnly', 'old=; Max-Age=0']).writeHead(204).end();
      } else response.writeHead(headers.cookie === 'session=abc' ? 200 : 403).end('Your orders');
    };
    const steps = [
      { url: 'http://{host}/session', method: 'POST', body: { env: 'TEST_SMOKE_BODY' }, expect: { status: 204 } },
      { url: 'http://{host}/account', expect: { body: 'Your orders' } },
    ];
    expect((await look({ logIn: { steps } })).verdict).toBe('pass');
    expect(seen.map(({ path }) => path)).toEqual(['/session', '/account']);
    const { verdict, explanation } = await look({ logIn: { steps: steps.slice(1) } });
    expect(verdict).toBe('fail');
    expect(explanation).toMatch(/status 403/);
    expect(explanation).not.toContain('hunter2');
  });

  test('open a WebSocket that echoes', async () => {
    expect((await look({ webSocket: { url: 'ws://{host}/live', send: 'ping' } })).verdict).toBe('pass');
    expect((await look({ webSocket: { url: 'ws://{host}/live', send: 'ping', expect: 'pong' } })).verdict).toBe('fail');
    expect((await look({ webSocket: { url: 'ws://{host}/nowhere' } })).explanation).toMatch(
      /Unexpected server response: 400/,
    );
  });

  test('that name a label which the side lacks hold: that is no fault of the side', async () => {
    const { verdict, explanation } = await look({ http: { url: 'http://{address}/' } });
    expect(verdict).toBe('provider-error');
    expect(explanation).toContain('names the label address');
  });
});

describe('a web hook', () => {
  const hook = (timeout = '30s'): NormalProvider =>
    providerOf({ webhook: { url: `http://${host()}/verdict`, token: { env: 'TEST_JUDGE_TOKEN' }, timeout } });
  const says = (text: string, status = 200): void => {
    answer = (_, response) => response.writeHead(status).end(text);
  };
  process.env['TEST_JUDGE_TOKEN'] = 'tok-en.12345';

  test('is told what is asked, and judges by itself', async () => {
    says('{"verdict": "fail", "reason": "orders have stopped"}');
    expect(await verdictOf(hook(), { query: { absolute: 1 } })).toMatchObject({
      verdict: 'fail',
      explanation: expect.stringMatching(/^now: fail, orders have stopped/) as unknown,
    });
    expect(seen[0]?.headers.authorization).toBe('Bearer tok-en.12345');
    expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({
      gate: 'query',
      kind: 'query',
      side: 'now',
      labels: { host: host() },
    });
  });

  test('or gives figures', async () => {
    says('{"bad": 30, "total": 1000}');
    expect(await verdictOf(hook(), { errorRatio: { absolute: '1%' } })).toMatchObject({
      verdict: 'fail',
      figures: { value: 0.03 },
    });
    says('{"value": 0.5}');
    expect((await verdictOf(hook(), { query: { absolute: 1 } })).verdict).toBe('pass');
  });

  test.each([
    ['an error', 'tok-en.12345', 500, /answers 500/],
    ['something else', '{"verdict": "maybe"}', 200, /answers neither/],
    ['a redirect', '', 302, /answers 302/],
  ])('that answers %s holds', async (_, text, status, message) => {
    says(text, status);
    const { verdict, explanation } = await verdictOf(hook(), { query: { absolute: 1 } });
    expect(verdict).toBe('provider-error');
    expect(explanation).toMatch(message);
    expect(explanation).not.toContain('tok-en');
  });

  test('that does not answer holds', async () => {
    answer = () => undefined;
    expect((await verdictOf(hook('300ms'), { query: { absolute: 1 } })).explanation).toMatch(/no answer within 300 ms/);
  });
});
