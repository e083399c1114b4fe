/** One secret URL in the forms that others take it: libpq's keywords for a subscription, its variables for pg_dump. */
import { parse } from 'pg-connection-string';
import type { SecretReference } from '../../spec/normal.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';

/** libpq's keyword, and its environment variable: https://www.postgresql.org/docs/current/libpq-envars.html */
const PARAMETERS = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
} as const;

type Keyword = keyof typeof PARAMETERS;

/** `no-verify` is node-postgres's own word; libpq's `require` means the same. */
const SSL_MODES: Record<string, string> = { 'no-verify': 'require' };

/** Fails with `SecretUnavailable`, or `InvalidSpec` if the secret isn't a URL; never with the URL in the text. */
async function parametersOf(side: string, reference: SecretReference): Promise<Map<Keyword, string>> {
  const text = await resolveSecret(reference);
  let values: Record<string, unknown>;
  let query: URLSearchParams;
  try {
    values = { ...parse(text) };
    query = new URL(text).searchParams;
  } catch {
    throw failure('InvalidSpec', `the URL of the ${side} isn't a Postgres URL`);
  }
  const found = new Map<Keyword, string>();
  const keep = (keyword: Keyword, value: unknown): void => {
    if (typeof value === 'string' && value !== '') found.set(keyword, value);
  };
  keep('host', values['host']);
  keep('port', values['port']);
  keep('user', values['user']);
  keep('password', values['password']);
  keep('dbname', values['database']);
  const sslMode = query.get('sslmode');
  keep('sslmode', sslMode === null ? null : (SSL_MODES[sslMode] ?? sslMode));
  for (const keyword of ['sslrootcert', 'sslcert', 'sslkey'] as const) keep(keyword, query.get(keyword));
  return found;
}

/** `host='…' user='…'`, as CREATE SUBSCRIPTION takes it. Holds the password. */
export async function connectionString(
  side: string,
  reference: SecretReference,
  applicationName: string,
): Promise<string> {
  const parameters = await parametersOf(side, reference);
  const quote = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return [...parameters, ['application_name', applicationName] as const]
    .map(([keyword, value]) => `${keyword}=${quote(value)}`)
    .join(' ');
}

/** Environment for Postgres's own programs: a password in their arguments would show in every process list. */
export async function connectionEnvironment(side: string, reference: SecretReference): Promise<Record<string, string>> {
  const parameters = await parametersOf(side, reference);
  return Object.fromEntries([...parameters].map(([keyword, value]) => [PARAMETERS[keyword], value]));
}
