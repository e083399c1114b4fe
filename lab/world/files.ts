/** What a lab lays out for its user: the variables that workers and CLI need, and a migration of the shop. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SHOP } from '../shop/create.js';

export interface Environment {
  GODWIT_SOURCE_URL: string;
  GODWIT_TARGET_URL: string;
  GODWIT_PGBOUNCER_ADMIN_URL: string;
  TEMPORAL_ADDRESS: string;
  /** Where the shop's clients connect; nothing of Godwit reads it. */
  SHOP_URL: string;
}

export interface LabFiles {
  /** Read by `godwit worker` and by a shell: `. FILE`. */
  environment: string;
  /** For `godwit start`. */
  migration: string;
}

export async function writeFiles(folder: string, environment: Environment, pgbouncerConfig: string): Promise<LabFiles> {
  const files = { environment: join(folder, 'environment'), migration: join(folder, 'shop.yaml') };
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
  await writeFile(files.environment, `${lines.join('\n')}\n`, { mode: 0o600 });
  await writeFile(files.migration, migration(pgbouncerConfig));
  return files;
}

const migration = (pgbouncerConfig: string): string => `\
# Moves the lab's shop to the second server. The worker finds the URLs in its environment.
apiVersion: godwit.dev/v1alpha1
kind: Migration
metadata:
  name: shop
spec:
  databases:
    shop:
      source: { url: { env: GODWIT_SOURCE_URL } }
      target: { url: { env: GODWIT_TARGET_URL } }
      tables:
        include: ['shop.*']
      endpoints:
        - pgbouncer:
            admin: { env: GODWIT_PGBOUNCER_ADMIN_URL }
            database: ${SHOP.database}
            configFile: ${JSON.stringify(pgbouncerConfig)}
      watch:
        for: 1h
`;
