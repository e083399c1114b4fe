/** What preflight can only tell, not prove: the size of it all, and the way between the servers. */
import { isIP } from 'node:net';
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove } from '../contract.js';
import { readSize } from '../plan/size.js';
import { publisherOf, urlOf } from '../postgres/connection.js';
import { defineCheck, type Found } from './check.js';
import { bytesText } from './evidence.js';

export const size = defineCheck<'disk-space'>({
  topic: 'Disk and network',
  on: 'source',
  rules: {
    'disk-space': {
      severity: 'info',
      title: 'The target needs disk for the tables, and the source for WAL',
      why: 'No statement tells how much disk is free. While the copy runs the source keeps all WAL that is written in the meantime.',
      mend: "See that the target has free twice the size of the tables, and the source the WAL of the copy's time.",
    },
  },
  find: async (source, { tables }) => {
    const { bytes, indexBytes, tables: count } = await readSize(source, tables);
    return [
      {
        id: 'disk-space',
        side: 'target',
        evidence: `${count} tables with ${bytesText(bytes)}, and ${bytesText(indexBytes)} of indexes`,
        repair: [`See that the target has at least ${bytesText(2 * (bytes + indexBytes))} of free disk`],
      },
    ];
  },
});

type NetworkId = 'network-path' | 'loopback-url';

export const network = defineCheck<NetworkId>({
  topic: 'Disk and network',
  on: 'both',
  rules: {
    'network-path': {
      severity: 'info',
      title: 'The servers connect to each other',
      why: 'A subscription is a connection from server to server: the target reads from the source, and on the way back the source from the target. Where the roles may make subscriptions, preflight tries both ways; prepare does in any case, before it copies.',
      mend: 'Let each reach the other at the host and port of its URL: firewalls, security groups, pg_hba.conf. Where that address is another one than for the workers, name it in source.replication.url and target.replication.url.',
    },
    'loopback-url': {
      severity: 'warning',
      title: 'A URL with a loopback address leads elsewhere from the other server',
      why: 'The servers connect with the URLs of the migration. On another machine, localhost is that machine.',
      mend: 'Use addresses that mean the same on both servers and for the workers; or name those of the servers in source.replication.url and target.replication.url.',
    },
  },
  find: async (_, { move }) => {
    const [from, to] = [await placeOf(move, 'source'), await placeOf(move, 'target')];
    const found: Found<NetworkId>[] = [
      {
        id: 'network-path',
        evidence: `the target has to reach ${from.host}:${from.port}, and the source ${to.host}:${to.port}`,
        repair: ['Let both in firewalls and pg_hba.conf'],
      },
    ];
    if (isLoopback(from.host) !== isLoopback(to.host)) {
      const side = isLoopback(from.host) ? 'source' : 'target';
      const own = move.database.replication?.[side].url != null;
      const host = side === 'source' ? from.host : to.host;
      found.push({
        id: 'loopback-url',
        side,
        evidence: `${side}.${own ? 'replication.url' : 'url'} names ${host}, and the other side is at ${side === 'source' ? to.host : from.host}`,
        repair: [`Give an address that the other server can use in ${side}.replication.url`],
      });
    }
    return found;
  },
});

/** Where the other server connects to. */
async function placeOf(move: DatabaseMove, side: Primary): Promise<{ host: string; port: number }> {
  const { host, port } = await urlOf(side, publisherOf(move.database, side).url);
  return { host: host ?? 'localhost', port: Number(port ?? 5432) };
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.startsWith('/')) return true;
  return isIP(host) !== 0 && (host === '::1' || host.startsWith('127.'));
}
