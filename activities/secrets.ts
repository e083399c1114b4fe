/** Resolves references to secrets. Only activities call this; a value never leaves the process. */
import { readFile } from 'node:fs/promises';
import type { SecretReference } from '../spec/normal.js';
import { failure } from './failure.js';

/**
 * The secret's text, without trailing newlines.
 * Fails with `SecretUnavailable`, naming the reference and never the value.
 */
export async function resolveSecret(reference: SecretReference): Promise<string> {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value === undefined || value === '') {
      throw failure(
        'SecretUnavailable',
        `the worker has no environment variable ${reference.env}; set it where the worker runs`,
      );
    }
    return value;
  }
  if ('file' in reference) {
    try {
      return (await readFile(reference.file, 'utf8')).replace(/\n+$/, '');
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      throw failure(
        'SecretUnavailable',
        `the worker can't read ${reference.file} (${code}); mount it where the worker runs`,
      );
    }
  }
  return fromSecretsManager(reference.secretsManager, reference.key);
}

/** GetSecretValue; with `key`, one member of a JSON secret, as RDS keeps them. */
async function fromSecretsManager(secretId: string, key: string | undefined): Promise<string> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({});
  try {
    const { SecretString: text } = await client.send(new GetSecretValueCommand({ SecretId: secretId }));
    if (text === undefined) throw failure('SecretUnavailable', `secret ${secretId} holds no text`);
    if (key === undefined) return text;
    return memberOf(secretId, text, key);
  } catch (error) {
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    const reason = error instanceof Error ? error.name : 'unknown error';
    throw failure('SecretUnavailable', `secret ${secretId} can't be read from Secrets Manager (${reason})`);
  } finally {
    client.destroy();
  }
}

function memberOf(secretId: string, text: string, key: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw failure('SecretUnavailable', `secret ${secretId} isn't JSON, so it has no key ${key}`);
  }
  const value = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>)[key] : undefined;
  if (typeof value !== 'string')
    throw failure('SecretUnavailable', `secret ${secretId} has no text under the key ${key}`);
  return value;
}
