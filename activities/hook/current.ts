/** Where a hook says that it leads, and what its other answers mean. */
import { z } from 'zod';
import type { Milliseconds, NormalHook } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';
import { call, NoAnswer, type Answer } from './call.js';

/** Of an answer that says no more than "not now". https://www.rfc-editor.org/rfc/rfc9110#section-15 */
const NOT_NOW = [408, 425, 429, 500, 502, 503, 504];

/** More members are the hook's own. */
const Current = z.object({ primary: z.enum(['source', 'target']) });

/** Null: it needs none. Fails with `SecretUnavailable`; what isn't a token would show in the error of the HTTP library. */
export async function tokenOf({ name, token }: NormalHook): Promise<string | null> {
  if (token === null) return null;
  const text = await resolveSecret(token);
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw failure('SecretUnavailable', `the token of the hook ${name} has characters that no header may have`);
}

/** Asks once. `NoAnswer` when asking again may help, `EndpointFailed` when it won't. */
export async function askHook(
  hook: NormalHook,
  token: string | null,
  timeout: Milliseconds = hook.timeout,
): Promise<Primary> {
  const { url, status } = hook.check;
  const answer = await call({ name: hook.name, method: 'GET', url, token, timeout });
  if (status !== null) {
    if (answer.status === status.source) return 'source';
    if (answer.status === status.target) return 'target';
  }
  requireTaken(hook, 'GET', url, answer);
  const primary = status === null ? primaryIn(answer.text) : null;
  if (primary !== null) return primary;
  const expected =
    status === null
      ? '{"primary": "source"} or {"primary": "target"}'
      : `${status.source} for the source or ${status.target} for the target`;
  throw failure(
    'EndpointFailed',
    `the hook ${hook.name} answers GET ${url} with ${answer.status}, which doesn't say where it leads; expected ${expected}`,
  );
}

function primaryIn(text: string): Primary | null {
  try {
    const answer = Current.safeParse(JSON.parse(text));
    return answer.success ? answer.data.primary : null;
  } catch {
    return null;
  }
}

/** Passes for 2xx alone. Of the answer only the status is told: what stands in it may be a secret. */
export function requireTaken({ name }: NormalHook, method: string, url: string, { status }: Answer): void {
  if (status >= 200 && status <= 299) return;
  if (NOT_NOW.includes(status)) throw new NoAnswer(`${method} ${url} is answered with ${status}`);
  throw failure(
    'EndpointFailed',
    `the hook ${name} answers ${method} ${url} with ${status}; expected 2xx`,
    status === 401 || status === 403 ? 'Is its token the right one?' : undefined,
  );
}
