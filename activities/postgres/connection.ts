/** One secret URL in the forms that others take it: libpq's keywords for a subscription, its variables for pg_dump. */
import type { NormalDatabase, SecretReference } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';
import { readUrl, type PostgresUrl } from './url.js';

/**
 * libpq's keyword, and its environment variable: https://www.postgresql.org/docs/current/libpq-envars.html
 * What else a URL may hold is node-postgres's own, or makes no sense for a server's connection to another.
 */
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
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslsni: 'PGSSLSNI',
  sslnegotiation: 'PGSSLNEGOTIATION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  gssencmode: 'PGGSSENCMODE',
  connect_timeout: 'PGCONNECT_TIMEOUT',
} as const;

type Keyword = keyof typeof PARAMETERS;

const fromUrl = (keyword: string): keyword is Keyword => Object.hasOwn(PARAMETERS, keyword);

/** `no-verify` is node-postgres's own word; libpq's `require` means the same. */
const SSL_MODES: Record<string, string> = { 'no-verify': 'require' };

/** Fails with `SecretUnavailable`, or `InvalidSpec` if the secret isn't a URL; never with the URL in the text. */
export async function urlOf(side: string, reference: SecretReference): Promise<PostgresUrl> {
  const text = await resolveSecret(reference);
  try {
    return readUrl(text);
  } catch {
    throw failure('InvalidSpec', `the URL of the ${side} isn't a Postgres URL`);
  }
}

function parametersOf(url: PostgresUrl): Map<Keyword, string> {
  const found = new Map<Keyword, string>();
  const keep = (keyword: Keyword, value: string | null): void => {
    if (value !== null && value !== '') found.set(keyword, value);
  };
  keep('host', url.host);
  keep('port', url.port);
  keep('user', url.user);
  keep('password', url.password);
  keep('dbname', url.database);
  for (const [name, value] of url.parameters) {
    if (!fromUrl(name) || found.has(name)) continue;
    keep(name, name === 'sslmode' ? (SSL_MODES[value] ?? value) : value);
  }
  return found;
}

/** How the other server reaches one side. */
export interface Publisher {
  side: Primary;
  /** What the other server connects to. */
  url: SecretReference;
  /** File on the other server that has the password; null: Postgres keeps it in its catalog. */
  passfile: string | null;
}

export function publisherOf(database: NormalDatabase, side: Primary): Publisher {
  const own = database.replication?.[side];
  return { side, url: own?.url ?? database[side], passfile: own?.passfile ?? null };
}

/** The role that the other server connects as, where it has a URL of its own for that. */
export async function followerOf(database: NormalDatabase, side: Primary): Promise<string | null> {
  const url = database.replication?.[side].url ?? null;
  return url === null ? null : (await urlOf(side, url)).user;
}

/** `host='…' user='…'`, as CREATE SUBSCRIPTION takes it. Holds the password, unless a passfile has it. */
export async function connectionString(publisher: Publisher, applicationName: string): Promise<string> {
  const parameters = parametersOf(await urlOf(publisher.side, publisher.url));
  if (publisher.passfile !== null) parameters.delete('password');
  const quote = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return [
    ...parameters,
    ...(publisher.passfile === null ? [] : [['passfile', publisher.passfile] as const]),
    ['application_name', applicationName] as const,
  ]
    .map(([keyword, value]) => `${keyword}=${quote(value)}`)
    .join(' ');
}

/** Environment for Postgres's own programs: a password in their arguments would show in every process list. */
export async function connectionEnvironment(side: string, reference: SecretReference): Promise<Record<string, string>> {
  const parameters = parametersOf(await urlOf(side, reference));
  return Object.fromEntries([...parameters].map(([keyword, value]) => [PARAMETERS[keyword], value]));
}
