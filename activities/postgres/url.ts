/**
 * Postgres URLs. The parser of node-postgres leaves `%2F`, `%3F`, `%23`, `%26`, `%3A` and more in the name of a database as
 * they are, where libpq decodes them: databases of such names could not be reached.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
import type pg from 'pg';
import { parse, parseIntoClientConfig } from 'pg-connection-string';

export interface PostgresUrl {
  host: string | null;
  port: string | null;
  user: string | null;
  password: string | null;
  database: string | null;
  /** Everything behind the question mark. */
  parameters: Map<string, string>;
}

/** Without looking at the files that it may name. Throws if it isn't a URL, never with the URL in the text. */
export function readUrl(text: string): PostgresUrl {
  const mark = text.indexOf('?');
  const place = mark < 0 ? text : text.slice(0, mark);
  const parameters = new Map(new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)));
  const { host, port, user, password, database } = parse(place);
  const value = (name: string, found: string | null | undefined): string | null =>
    parameters.get(name) ?? (found === '' ? null : (found ?? null));
  return {
    host: value('host', host),
    port: value('port', port),
    user: value('user', user),
    password: value('password', password),
    database: nameIn(place) ?? value('dbname', database),
    parameters,
  };
}

/** For a connection of ours: certificates read, where it names some. */
export function clientConfig(text: string): pg.ClientConfig {
  const database = nameIn(text);
  const config = parseIntoClientConfig(text);
  return database === null ? config : { ...config, database };
}

/** The path as it was written, decoded whole; null where there is none, or where it isn't encoded rightly. */
function nameIn(text: string): string | null {
  const path = /^[a-z]+:\/\/[^/?#]*\/([^?#]+)/i.exec(text)?.[1];
  if (path === undefined) return null;
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}
