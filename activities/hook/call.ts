/**
 * One HTTP call of a hook, as strict as a stranger's server asks for: a time limit, a small answer, no redirects, and
 * nothing of the token in any error.
 */
import type { Milliseconds } from '../../spec/normal.js';
import { failure } from '../failure.js';
import { reasonOf, textOf } from '../http-answer.js';

/** Far more than any answer of a hook, and little for a worker. */
const MOST_BYTES = 64 * 1024;

export interface Call {
  /** Of the endpoint, for errors. */
  name: string;
  method: 'GET' | 'POST';
  url: string;
  token: string | null;
  body?: object;
  timeout: Milliseconds;
}

export interface Answer {
  status: number;
  text: string;
}

/** No answer, or one that is too long: what may be otherwise the next time. */
export class NoAnswer extends Error {}

/** Whatever the server answers, but a redirect: `EndpointFailed`. Fails with `NoAnswer` when there is none in time. */
export async function call({ name, method, url, token, body, timeout }: Call): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeout))),
    });
    const text = await textOf(response, MOST_BYTES);
    if (response.status < 300 || response.status > 399) return { status: response.status, text };
  } catch (error) {
    throw new NoAnswer(`${method} ${url}: ${reasonOf(error, timeout)}`);
  }
  throw failure(
    'EndpointFailed',
    `the hook ${name} answers ${method} ${url} with ${response.status}, which leads to ${elsewhere(response, url)}`,
    'Redirects are not followed, since the token would go with them; name the final URL in the specification',
  );
}

/** Only the host: what stands behind it may be a secret of the one who redirects. */
function elsewhere(response: Response, url: string): string {
  const location = response.headers.get('location');
  if (location === null || !URL.canParse(location, url)) return 'nowhere';
  return new URL(location, url).origin;
}
