/** Which server it is that was compared. */
import { failure } from '../../failure.js';
import type { Session } from '../session.js';

export interface ComparedServer {
  version: string;
  systemIdentifier: string;
  timeline: number;
}

/** A database, and the server that it is in. */
export interface Server {
  database: string;
  encoding: string;
  /** server_version_num */
  number: number;
  identity: ComparedServer;
}

export async function serverOf(session: Session): Promise<Server> {
  const row = await session.row<ComparedServer & Omit<Server, 'identity'>>(
    `select current_database() as database, current_setting('server_version_num')::int as number, current_setting('server_version') as version,
            current_setting('server_encoding') as encoding,
            (select system_identifier::text from pg_control_system()) as "systemIdentifier",
            (select timeline_id from pg_control_checkpoint()) as timeline`,
  );
  if (row === undefined) throw failure('Unexpected', `the ${session.side} does not tell its version`);
  const { database, number, encoding, version, systemIdentifier, timeline } = row;
  return { database, number, encoding, identity: { version, systemIdentifier, timeline } };
}
