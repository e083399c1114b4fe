/** Answers of servers that are strangers: limited in length, and why there was none. */
import type { Milliseconds } from '../spec/normal.js';

/** The whole body as text. Throws when it is longer than `mostBytes`. */
export async function textOf(response: Response, mostBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  if (response.body === null) return '';
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > mostBytes) throw new Error(`its answer is longer than ${mostBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** fetch says no more than "fetch failed"; its cause says why. */
export function reasonOf(error: unknown, timeout: Milliseconds): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'TimeoutError') return `no answer within ${Math.round(timeout)} ms`;
  const cause = error.cause;
  if (cause instanceof Error) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
    return [cause.message, code].find((text) => text !== '') ?? cause.name;
  }
  return error.message;
}

/** Null for what is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
