/** Finds PgBouncer, or gets it. */
import { aptInstall } from './apt.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** Path of the `pgbouncer` binary. */
export async function pgbouncerBinary(onProgress: OnProgress): Promise<string> {
  const found = (): string | null => onPath('pgbouncer');
  return firstOf(
    'PgBouncer',
    [
      { title: '`pgbouncer` on PATH or in /usr/sbin', get: () => Promise.resolve(found()) },
      {
        title: 'installing PgBouncer with apt-get',
        expected: 'about 15 s',
        get: () => aptInstall('pgbouncer', found),
      },
    ],
    '`apt-get install pgbouncer` or `brew install pgbouncer`',
    onProgress,
  );
}
