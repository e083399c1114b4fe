/** What tests of the switch say again and again. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DatabaseMove, SwitchInput } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';

/** A budget that lets a dead attempt's lease run out while a test watches. */
export const SHORT_LEASE = {
  cutover: { maxPause: 2_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 100, window: null },
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

/** Runs an attempt in a process that dies by SIGKILL right after `point`. */
export async function dieAt(point: string, input: SwitchInput): Promise<void> {
  const script = fileURLToPath(new URL('./attempt-process.ts', import.meta.url));
  await new Promise<void>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', script, JSON.stringify({ input, point })],
      (error, _out, complaint) => {
        if (error?.signal === 'SIGKILL') resolve();
        else reject(new Error(`the attempt did not die at ${point}: ${complaint}`));
      },
    );
    child.unref();
  });
}
