/** Which server it is that was compared. */
import { failure } from '../../failure.js';
import type { Session } from '../session.js';

export interface ComparedServer {
  version: string;
  systemIdentifier: string;
  timeline: number;
}

/** `number`: server_version_num. */
export async function serverOf(session: Session): Promise<{ number: number; identity: ComparedServer }> {
  const row = await session.row<{ number: number; version: string; systemIdentifier: string; timeline: number }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
            (select system_identifier::text from pg_control_system()) as "systemIdentifier",
            (select timeline_id from pg_control_checkpoint()) as timeline`,
  );
  if (row === undefined) throw failure('Unexpected', `the ${session.side} does not tell its version`);
  const { number, version, systemIdentifier, timeline } = row;
  return { number, identity: { version, systemIdentifier, timeline } };
}
