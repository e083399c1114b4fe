/** Messages to a running migration, as updates: refused at once by its own words, or answered when taken. */
import { hostname, userInfo } from 'node:os';
import { QUERIES, type Message, type MessageName } from '../spec/messages.js';
import type { StatusDocument } from '../spec/status.js';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';
import { describe } from './view.js';
import { answered } from './worker-presence.js';

/** Who types: what the log of messages shows, and how approvals tell one person from another. */
export function whoAmI(env: NodeJS.ProcessEnv): string {
  const user = env['GODWIT_USER'] ?? env['SUDO_USER'] ?? env['USER'] ?? userInfo().username;
  return user.includes('@') ? user : `${user}@${hostname()}`;
}

export async function send<N extends MessageName>(
  temporal: Temporal,
  id: string,
  name: N,
  message: Message<N>,
): Promise<StatusDocument> {
  const { status, taskQueue, type } = await describe(temporal, id);
  if (status.name !== 'RUNNING' && status.name !== 'PAUSED') {
    throw new CliError(`\`${id}\` has ended (${status.name.toLowerCase()}), so there is nothing to ${verb(name)}.`, {
      next: [`godwit status ${id}`],
    });
  }
  // No run id: a migration that continues as new meanwhile takes the message in its next run.
  const handle = temporal.client.workflow.getHandle(id);
  try {
    await answered(temporal, taskQueue, () => handle.executeUpdate<unknown, [Message<N>]>(name, { args: [message] }));
  } catch (error) {
    throw notTaken(error, id, type, name);
  }
  return answered(temporal, taskQueue, () => handle.query<StatusDocument>(QUERIES.status));
}

function verb(name: MessageName): string {
  return name === 'rollback' ? 'roll back' : name;
}

/** A phase that runs alone, or an older worker, takes fewer messages than a migration. */
function notTaken(error: unknown, id: string, type: string, name: MessageName): unknown {
  const said = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
  if (!/no registered handler|not registered/i.test(said)) return error;
  return new CliError(`\`${id}\` is a \`${type}\` and doesn't take \`${name}\`.`, { cause: error });
}
