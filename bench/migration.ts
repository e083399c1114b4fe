/** A move as a user's specification of a few lines gives it: every default is that of the schema. */
import type { DatabaseMove } from '../activities/contract.js';
import { normalize } from '../activities/normalize.js';
import { scopeKey } from '../activities/postgres/names.js';
import type { NormalDatabase } from '../spec/normal.js';
import type { ServerPair } from '../test/support/postgres.js';

const SOURCE = 'BENCH_SOURCE';
const TARGET = 'BENCH_TARGET';

/** Of a database of the same name on both sides. One at a time: the URLs are in variables of the environment. */
export async function defaultMove(
  pair: ServerPair,
  migration: string,
  database: string,
  change: Partial<NormalDatabase['copy']> = {},
): Promise<DatabaseMove> {
  process.env[SOURCE] = pair.source.url(database);
  process.env[TARGET] = pair.target.url(database);
  const document = {
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: migration },
    spec: {
      databases: {
        [database]: {
          source: { url: { env: SOURCE } },
          target: { url: { env: TARGET } },
          endpoints: [{ none: { name: 'alone' } }],
        },
      },
    },
  };
  const [normal] = (await normalize({ document })).databases;
  if (normal === undefined) throw new Error('the specification names no database');
  return {
    migration,
    key: scopeKey(migration, database),
    database: { ...normal, copy: { ...normal.copy, ...change } },
  };
}
