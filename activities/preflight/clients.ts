/** Clients that reach the source by another way than the endpoints. */
import { statement } from '../postgres/statements.js';
import { defineCheck, type OpenEndpoint } from './check.js';
import { listed } from './evidence.js';

const CLIENTS = statement(import.meta.url, './sql/clients.sql');

type Id = 'no-endpoint' | 'pooler-bypassed';

interface ClientRow {
  application: string;
  user: string;
  host: string;
  port: number | null;
}

export const clients = defineCheck<Id>({
  topic: 'Clients',
  on: 'source and all endpoints',
  rules: {
    'no-endpoint': {
      severity: 'warning',
      title: 'No endpoint moves the clients',
      why: 'After the switch clients keep connecting to the source, whose fence refuses their writes, until somebody points them at the target.',
      mend: 'Name the PgBouncer in front of the database in endpoints, or be ready to point the clients at the target by hand.',
    },
    'pooler-bypassed': {
      severity: 'warning',
      title: 'Clients bypass the pooler',
      why: 'No pause holds them and nothing moves them: the fence refuses their writes from the switch on.',
      mend: 'Let them connect through PgBouncer, or stop them for the switch and point them at the target by hand.',
    },
  },
  find: async (source, open, { move }) => {
    if (move.database.endpoints.length === 0) {
      return [
        {
          id: 'no-endpoint',
          evidence: 'endpoints is empty',
          repair: ['Name what must point at the primary in endpoints'],
        },
      ];
    }
    // A list that isn't complete would name the clients of the missing pooler.
    if (open.length < move.database.endpoints.length) return [];
    // Asked before and after, so that a connection that the pooler closes or opens in between isn't taken for another's.
    const before = await pooledPorts(open);
    const rows = await source.rows<ClientRow>(CLIENTS);
    const pooled = new Set([...before, ...(await pooledPorts(open))]);
    const direct = rows.filter((row) => row.port === null || !pooled.has(row.port));
    if (direct.length === 0) return [];
    const counts = new Map<string, number>();
    for (const row of direct) {
      const name = `${row.application} (user ${row.user}) from ${row.host}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [
      {
        id: 'pooler-bypassed',
        evidence: listed([...counts].map(([name, count]) => (count === 1 ? name : `${name}, ${count} connections`))),
        repair: [
          'Let them connect through PgBouncer, or stop them for the switch and point them at the target by hand',
        ],
      },
    ];
  },
});

/**
 * Local ports of the poolers' server connections. Addresses aren't compared: behind a NAT they differ, while two hosts
 * with the same port at once are rare.
 */
async function pooledPorts(open: OpenEndpoint[]): Promise<number[]> {
  const servers = await Promise.all(open.map(({ admin }) => admin.show('servers')));
  return servers.flat().map((row) => Number(row['local_port']));
}
