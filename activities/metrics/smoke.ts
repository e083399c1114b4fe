/**
 * Requests that the worker makes itself: HTTP, a log-in, a WebSocket that echoes. A check that gets no answer has found
 * something out, so it fails, where a metric that can't be read would only hold.
 */
import { performance } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import type { NormalSmoke, SmokeRequest, SmokeTest } from '../../spec/metrics.js';
import type { Milliseconds } from '../../spec/normal.js';
import { reasonOf, textOf } from '../http-answer.js';
import type { Ask, Question } from './evidence.js';
import { reveal } from './secrets-of.js';

const MOST_BYTES = 4 * 1024 * 1024;

/** What was expected, and what was found: never what stood in an answer. */
type Failed = string | null;

/** What keeps a check from running: its own mistake, not that of the side it looks at. */
class NotRunnable extends Error {}

export function askSmoke(provider: NormalSmoke): Ask {
  return async (question) => {
    try {
      const found = await Promise.all(provider.checks.map((check) => run(check, question, provider.timeout)));
      const failed = found.filter((one) => one !== null);
      const note = failed.length === 0 ? {} : { note: failed.join('; ').slice(0, 400) };
      return { kind: 'counts', bad: failed.length, total: found.length, ...note };
    } catch (error) {
      return {
        kind: 'provider-error',
        reason: `${provider.name}: ${error instanceof Error ? error.message : 'unknown error'}`,
      };
    }
  };
}

async function run(check: SmokeTest, question: Question, timeout: Milliseconds): Promise<Failed> {
  const labels = { ...question.side.labels, ...question.gate.labels };
  const found =
    check.kind === 'webSocket' ? await echo(check, labels, timeout) : await requests(check.steps, labels, timeout);
  return found === null ? null : `${check.name}: ${found}`;
}

/** One after the other, with the cookies of those before; the time is for all of them. */
async function requests(steps: SmokeRequest[], labels: Record<string, string>, timeout: Milliseconds): Promise<Failed> {
  const cookies = new Map<string, string>();
  const deadline = performance.now() + timeout;
  for (const [index, step] of steps.entries()) {
    const left = Math.max(1, deadline - performance.now());
    const failed = await request(step, labels, cookies, left);
    if (failed !== null) return steps.length === 1 ? failed : `step ${index + 1}, ${failed}`;
  }
  return null;
}

async function request(
  step: SmokeRequest,
  labels: Record<string, string>,
  cookies: Map<string, string>,
  left: Milliseconds,
): Promise<Failed> {
  const url = addressed(step.url, labels);
  const { value: headers, scrub } = await reveal(step.headers);
  const { value: sent } = await reveal(step.body === null ? {} : { body: step.body });
  const { within } = step.expect;
  const timeout = Math.ceil(Math.min(left, within ?? left));
  const began = performance.now();
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  try {
    const response = await fetch(url, {
      method: step.method,
      redirect: 'manual',
      headers: { ...headers, ...(cookie === '' ? {} : { cookie }) },
      ...(sent['body'] === undefined ? {} : { body: sent['body'] }),
      signal: AbortSignal.timeout(timeout),
    });
    const text = await textOf(response, MOST_BYTES);
    keepCookies(cookies, response);
    const wrong = differs(step, response, text);
    return wrong === null ? null : `${step.method} ${url}: ${wrong}`;
  } catch (error) {
    return scrub(`${step.method} ${url}: ${reasonOf(error, performance.now() - began)}`);
  }
}

function differs({ expect }: SmokeRequest, response: Response, text: string): Failed {
  if (!expect.status.includes(response.status))
    return `status ${response.status}, expected ${expect.status.join(' or ')}`;
  for (const [name, part] of Object.entries(expect.headers)) {
    if (!(response.headers.get(name) ?? '').includes(part))
      return `header ${name} lacks the expected ${JSON.stringify(part)}`;
  }
  return expect.body === null || text.includes(expect.body)
    ? null
    : `its body lacks the expected ${JSON.stringify(expect.body)}`;
}

/** As far as a log-in needs it: names and values, and what is taken back. All steps talk to the same site. */
function keepCookies(cookies: Map<string, string>, response: Response): void {
  for (const line of response.headers.getSetCookie()) {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    if (at < 1) continue;
    const gone = attributes.some((attribute) => /^max-age=(0|-\d+)$/i.test(attribute));
    if (gone) cookies.delete(pair.slice(0, at));
    else cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

async function echo(
  check: Extract<SmokeTest, { kind: 'webSocket' }>,
  labels: Record<string, string>,
  whole: Milliseconds,
): Promise<Failed> {
  const url = addressed(check.url, labels);
  const { value: headers, scrub } = await reveal(check.headers);
  const timeout = Math.ceil(Math.min(whole, check.within ?? whole));
  const socket = new WebSocket(url, { headers, handshakeTimeout: timeout, maxPayload: MOST_BYTES });
  return new Promise<Failed>((resolve) => {
    const end = (failed: Failed): void => {
      clearTimeout(late);
      resolve(failed === null ? null : scrub(`${url}: ${failed}`));
      socket.terminate();
    };
    const late = setTimeout(() => end(`no answer within ${timeout} ms`), timeout);
    socket.on('open', () => socket.send(check.send));
    socket.on('message', (data: Buffer) => {
      end(data.toString('utf8').includes(check.expect) ? null : 'its answer is not what was expected');
    });
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end('it was closed before it answered'));
  });
}

/** `{host}` stands for the label `host` of the side. */
function addressed(url: string, labels: Record<string, string>): string {
  return url.replace(/\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const value = labels[name];
    if (value === undefined)
      throw new NotRunnable(`${url} names the label ${name}, which this side hasn't; add it to its labels`);
    return value;
  });
}
