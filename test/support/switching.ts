/** What tests of the switch say again and again. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DatabaseMove, SwitchInput } from '../../activities/contract.js';
import { moduleCommand } from '../../lab/module-command.js';
import type { PostgresServer } from '../../lab/postgres.js';

/** A budget that lets a dead attempt's lease run out while a test watches, and that a busy machine doesn't use up. */
export const SHORT_LEASE = {
  cutover: { maxPause: 5_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 100, window: null },
};

/** Steps of the switch after which a crash leaves the writes where they were … */
export const BEFORE_CEDE = ['lag', 'prepare', 'look-ahead', 'pause', 'fence', 'marker', 're-check', 'ready'];
/** … and those after which it has happened. */
export const AFTER_CEDE = ['cede', 'stop', 'open', 'flip', 'reverse'];

export const inputOf = (move: DatabaseMove, direction: SwitchInput['direction']): SwitchInput => ({
  move,
  direction,
  mode: 'switch',
  attempt: 1,
});

/** Whether this server takes a write to the writers' tables. */
export async function accepts(server: PostgresServer, database: string): Promise<boolean> {
  return server.query('update account set balance = balance where id = 1', [], database).then(
    () => true,
    () => false,
  );
}

/** Runs an attempt in a process of its own that dies by SIGKILL right after `point`, if it comes there. */
export async function attempt(input: SwitchInput, point: string, uid?: number): Promise<void> {
  const { command, args } = moduleCommand(import.meta.url, './attempt-process');
  const user = uid === undefined ? {} : { uid, gid: uid };
  await promisify(execFile)(command, [...args, JSON.stringify({ input, point })], user);
}

/** Runs an attempt in a process that dies by SIGKILL right after `point`. */
export async function dieAt(point: string, input: SwitchInput): Promise<void> {
  const end = await attempt(input, point).then(
    () => ({ stderr: 'it ended well' }),
    (error: { signal?: string; stderr?: string }) => error,
  );
  if ('signal' in end && end.signal === 'SIGKILL') return;
  throw new Error(`the attempt did not die at ${point}: ${end.stderr ?? ''}`);
}
