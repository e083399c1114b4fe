/** Whether two addresses are the same place. */
import { lookup } from 'node:dns/promises';
import type { NormalPgBouncer } from '../../spec/normal.js';
import type { DatabaseMove } from '../contract.js';
import { readUrl } from '../postgres/url.js';
import { resolveSecret } from '../secrets.js';

export interface Place {
  /** Empty: a Unix socket. */
  host: string;
  port: number;
  database: string;
}

/** Where an endpoint must lead before the switch: what it calls the source, else the source's URL. */
export async function placeOfSource(endpoint: NormalPgBouncer, move: DatabaseMove): Promise<Place> {
  const url = readUrl(await resolveSecret(move.database.source));
  return {
    host: endpoint.hosts.source?.host ?? url.host ?? '',
    port: endpoint.hosts.source?.port ?? Number(url.port ?? 5432),
    database: url.database ?? '',
  };
}

/** Names are compared by the addresses they have here: `localhost` is 127.0.0.1. */
export async function samePlace(one: Place, other: Place): Promise<boolean> {
  if (one.port !== other.port || one.database !== other.database) return false;
  if (one.host === other.host) return true;
  const [here, there] = await Promise.all([addresses(one.host), addresses(other.host)]);
  return here.some((address) => there.includes(address));
}

/** PgBouncer takes several hosts in one entry. */
async function addresses(hosts: string): Promise<string[]> {
  const found = await Promise.all(hosts.split(',').map(addressesOf));
  return found.flat();
}

async function addressesOf(host: string): Promise<string[]> {
  if (host === '' || host.startsWith('/')) return ['127.0.0.1', '::1'];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [host];
  }
}
