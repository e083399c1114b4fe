/** What libpq does with several hosts, by psql: the driver of psycopg and many others. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../lab/postgres.js';
import { PostgresServer as Server } from '../../lab/postgres.js';
import type { Primary } from '../../spec/status.js';
import type { ServerPair } from './postgres.js';

const run = promisify(execFile);

/** A URL of both hosts, in this order, without the password: that is in PGPASSWORD. */
function urlOf(servers: PostgresServer[], database: string, attributes: string): string {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return `postgresql://${Server.user}@${hosts}/${database}?target_session_attrs=${attributes}`;
}

/** The side that a new connection goes to, with the source named first, and with the target named first. */
export async function chosenBy(pair: ServerPair, database: string, attributes = 'read-write'): Promise<string[]> {
  const { source, target } = pair;
  return Promise.all(
    [
      [source, target],
      [target, source],
    ].map(async (servers): Promise<Primary | 'none'> => {
      const env = { ...process.env, PGPASSWORD: Server.password };
      const args = ['-XAtc', 'select inet_server_port()', urlOf(servers, database, attributes)];
      const answer = await run('psql', args, { env }).catch(() => null);
      if (answer === null) return 'none';
      return Number(answer.stdout.trim()) === source.port ? 'source' : 'target';
    }),
  );
}
