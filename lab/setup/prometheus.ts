/** Finds Prometheus, or gets it. */
import { aptInstall } from './apt.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** Path of the `prometheus` binary. */
export async function prometheusBinary(onProgress: OnProgress): Promise<string> {
  const found = (): string | null => onPath('prometheus');
  return firstOf(
    'Prometheus',
    [
      { title: '`prometheus` on PATH', get: () => Promise.resolve(found()) },
      {
        title: 'installing Prometheus with apt-get',
        expected: 'about 30 s',
        get: () => aptInstall('prometheus', found),
      },
    ],
    '`apt-get install prometheus` or `brew install prometheus`',
    onProgress,
  );
}
