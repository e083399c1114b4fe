/** Servers of every major version that Godwit supports, beside the one that the lab runs: for tests, fetched when one asks. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { embeddedPostgres, POSTGRES_PLATFORM } from './embedded-postgres.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** Exact, so that a test that fails has failed because of us; the newest of each that were there. */
const EMBEDDED_VERSIONS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
} as const;

export type PostgresMajor = keyof typeof EMBEDDED_VERSIONS;

/** Packages for arm64 and macOS begin with this one. */
const PACKAGED_EVERYWHERE_SINCE = 15;

/** Whether this machine can have a server of that version. */
export function isObtainable(major: PostgresMajor): boolean {
  return systemBinaries(major) !== null || major >= PACKAGED_EVERYWHERE_SINCE || POSTGRES_PLATFORM === 'linux-x64';
}

/** Folder with `initdb` and `postgres` of that major version; fails with `ComponentMissing`. */
export async function postgresOfMajor(major: PostgresMajor, cache: string, onProgress: OnProgress): Promise<string> {
  return firstOf(
    `PostgreSQL ${major} (its server programs)`,
    [
      { title: `/usr/lib/postgresql/${major}`, get: () => Promise.resolve(systemBinaries(major)) },
      ...(await embeddedPostgres(cache, EMBEDDED_VERSIONS[major])),
    ],
    `\`apt-get install postgresql-${major}\``,
    onProgress,
  );
}

function systemBinaries(major: PostgresMajor): string | null {
  const folder = join('/usr/lib/postgresql', String(major), 'bin');
  return existsSync(join(folder, 'initdb')) ? folder : null;
}
