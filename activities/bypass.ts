/**
 * Clients of the source that no endpoint leads. Preflight names them when a migration begins, and every look until the switch
 * does so again, since who connects past a pooler changes by the day.
 */
import type { NormalEndpoint } from '../spec/normal.js';
import type { DatabaseMove } from './contract.js';
import { PgBouncerAdmin } from './pgbouncer/admin.js';
import type { Session } from './postgres/session.js';
import { statement } from './postgres/statements.js';

const CLIENTS = statement(import.meta.url, './postgres/sql/clients.sql');

export interface Client {
  application: string;
  user: string;
  host: string;
  port: number | null;
}

export interface DirectClients {
  /** `multiHost` ends their sessions, so that they connect anew. */
  ended: Client[];
  others: Client[];
  /** Whether these others are somebody's to lead: a hook's, or their own. */
  led: boolean;
}

/** All that aren't server connections of these poolers. */
export async function directClients(
  source: Session,
  consoles: PgBouncerAdmin[],
  endpoints: NormalEndpoint[],
): Promise<DirectClients> {
  // Asked before and after, so that a connection that the pooler closes or opens in between isn't taken for another's.
  const before = await pooledPorts(consoles);
  const clients = await source.rows<Client & Record<string, unknown>>(CLIENTS);
  const pooled = new Set([...before, ...(await pooledPorts(consoles))]);
  const direct = clients.filter(({ port }) => port === null || !pooled.has(port));
  const ended = direct.filter((client) => isEnded(client, endpoints));
  return {
    ended,
    others: direct.filter((client) => !ended.includes(client)),
    led: endpoints.some(({ kind }) => kind === 'hook' || kind === 'none'),
  };
}

export const inWords = ({ application, user, host }: Client): string => `${application} (user ${user}) from ${host}`;

/** As `multiHost` chooses the sessions that it ends. */
function isEnded({ user, application }: Client, endpoints: NormalEndpoint[]): boolean {
  return endpoints.some(
    (one) =>
      one.kind === 'multiHost' &&
      (one.roles?.includes(user) ?? true) &&
      (one.applications?.includes(application) ?? true),
  );
}

/**
 * Local ports of the poolers' server connections. Addresses aren't compared: behind a NAT they differ, while two hosts
 * with the same port at once are rare.
 */
async function pooledPorts(consoles: PgBouncerAdmin[]): Promise<number[]> {
  const servers = await Promise.all(consoles.map((console) => console.show('servers')));
  return servers.flat().map((row) => Number(row['local_port']));
}

/** A look travels through a history, so it names at most this many. */
const NAMED_AT_MOST = 20;

export interface Bypassing {
  /** Who connects past all poolers and is led by nobody, each once. */
  clients: string[];
  /** Why it can't be told. */
  unknown: string | null;
}

/** Asks the poolers of this database. Without one there is nothing to bypass. Never throws. */
export async function bypassing(source: Session, { database }: DatabaseMove): Promise<Bypassing> {
  const poolers = database.endpoints.filter((one) => one.kind === 'pgbouncer');
  if (poolers.length === 0) return { clients: [], unknown: null };
  const consoles: PgBouncerAdmin[] = [];
  try {
    if (!(await mayLook(source))) return { clients: [], unknown: 'this needs GRANT pg_read_all_stats TO the role' };
    for (const { name, admin } of poolers) consoles.push(await PgBouncerAdmin.open(name, admin));
    const { others, led } = await directClients(source, consoles, database.endpoints);
    const names = led ? [] : [...new Set(others.map(inWords))].sort();
    return { clients: names.slice(0, NAMED_AT_MOST), unknown: null };
  } catch (error) {
    return { clients: [], unknown: error instanceof Error ? error.message : 'unknown error' };
  } finally {
    await Promise.all(consoles.map((console) => console.close()));
  }
}

/** Without it the sessions of others don't show what they are. */
async function mayLook(source: Session): Promise<boolean> {
  const row = await source.row<{ may: boolean }>(`select pg_has_role('pg_read_all_stats', 'usage') as may`);
  return row?.may ?? false;
}
