/** Finds data-diff, or gets it from PyPI into a virtual environment: for the benchmark that runs beside it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { cacheFolder } from './cache.js';
import { pythonEnvironment } from './python.js';
import { firstOf } from './sources.js';

const VERSION = '0.11.2';
/** Newer ones of dbt-core, which it needs for what isn't used here, are fetched from elsewhere than PyPI; of pydantic it can't use. */
const PACKAGES = [`data-diff[postgresql]==${VERSION}`, 'dbt-core==1.7.19', 'pydantic==1.10.24'];

/** Path of the `data-diff` command. */
export async function dataDiffBinary(onProgress: OnProgress): Promise<string> {
  const folder = join(cacheFolder(), `data-diff-${VERSION}`);
  const command = join(folder, 'bin', 'data-diff');
  return firstOf(
    `data-diff ${VERSION}`,
    [
      { title: '`data-diff` on PATH', get: () => Promise.resolve(onPath('data-diff')) },
      { title: `the cache (${folder})`, get: () => Promise.resolve(existsSync(command) ? command : null) },
      {
        title: `installing data-diff ${VERSION} from PyPI`,
        expected: 'about 40 s',
        get: async () => ((await pythonEnvironment(folder, PACKAGES)) ? command : null),
      },
    ],
    'Python 3.10 or newer with its module venv, then `pip install data-diff`',
    onProgress,
  );
}
