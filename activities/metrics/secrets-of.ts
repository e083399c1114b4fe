/** Secrets that go out with a request, and never come back in a reason. */
import type { SecretReference } from '../../spec/normal.js';
import { resolveSecret } from '../secrets.js';

export interface Revealed<T> {
  value: T;
  /** `text` without any of the secrets. */
  scrub: (text: string) => string;
}

/** Fails with `SecretUnavailable`. */
export async function reveal(
  values: Record<string, string | SecretReference>,
): Promise<Revealed<Record<string, string>>> {
  const secrets: string[] = [];
  const value: Record<string, string> = {};
  for (const [name, given] of Object.entries(values)) {
    value[name] = typeof given === 'string' ? given : await resolveSecret(given);
    if (typeof given !== 'string') secrets.push(...partsOf(value[name]));
  }
  return { value, scrub: (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text) };
}

/** `Bearer abc` is as secret without its first word. Pieces of a few letters would scrub ordinary words. */
function partsOf(secret: string): string[] {
  return [secret, ...secret.split(/\s+/)].filter((part) => part.length >= 6).sort((a, b) => b.length - a.length);
}
