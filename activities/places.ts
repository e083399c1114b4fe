/** Where the servers are, as an endpoint is to say it. Nothing else of a URL, which holds a password. */
import type { HostPort, NormalDatabase, SecretReference } from '../spec/normal.js';
import type { Primary } from '../spec/status.js';
import { readUrl } from './postgres/url.js';
import { resolveSecret } from './secrets.js';

export interface DatabasePlace extends HostPort {
  database: string;
}

/** Of each side: what the endpoint calls it, else what its URL says. */
export async function placesOf(
  database: NormalDatabase,
  hosts: Record<Primary, HostPort | null>,
): Promise<Record<Primary, DatabasePlace>> {
  const [source, target] = await Promise.all([
    placeOf(database.source, hosts.source),
    placeOf(database.target, hosts.target),
  ]);
  return { source, target };
}

async function placeOf(url: SecretReference, hosts: HostPort | null): Promise<DatabasePlace> {
  const { host, port, database } = readUrl(await resolveSecret(url));
  return {
    host: hosts?.host ?? host ?? '127.0.0.1',
    port: hosts?.port ?? Number(port ?? 5432),
    database: database ?? 'postgres',
  };
}
