/** Which server it is that was compared. */
import { failure } from '../../failure.js';
import type { Session } from '../session.js';

export interface ComparedServer {
  version: string;
  systemIdentifier: string;
  timeline: number;
}

/** `number`: server_version_num; `encoding`: of the database. */
export async function serverOf(
  session: Session,
): Promise<{ number: number; encoding: string; identity: ComparedServer }> {
  const row = await session.row<ComparedServer & { number: number; encoding: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
            current_setting('server_encoding') as encoding,
            (select system_identifier::text from pg_control_system()) as "systemIdentifier",
            (select timeline_id from pg_control_checkpoint()) as timeline`,
  );
  if (row === undefined) throw failure('Unexpected', `the ${session.side} does not tell its version`);
  const { number, encoding, version, systemIdentifier, timeline } = row;
  return { number, encoding, identity: { version, systemIdentifier, timeline } };
}
