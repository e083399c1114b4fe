/** Finds pgcopydb, or gets it: for the benchmark that runs beside it. */
import { aptInstall } from './apt.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** Path of the `pgcopydb` binary. */
export async function pgcopydbBinary(onProgress: OnProgress): Promise<string> {
  const found = (): string | null => onPath('pgcopydb');
  return firstOf(
    'pgcopydb',
    [
      { title: '`pgcopydb` on PATH', get: () => Promise.resolve(found()) },
      { title: 'installing pgcopydb with apt-get', expected: 'about 15 s', get: () => aptInstall('pgcopydb', found) },
    ],
    '`apt-get install pgcopydb`',
    onProgress,
  );
}
