/** Two real Postgres servers of a test file's own: slots and prepared transactions are cluster-wide, so none are shared. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PostgresServer } from '../../lab/postgres.js';
import { scopeKey } from '../../activities/postgres/names.js';
import type { DatabaseMove } from '../../activities/contract.js';
import { DEFAULT_TASK_QUEUES, type NormalDatabase } from '../../spec/normal.js';

export interface ServerPair {
  source: PostgresServer;
  target: PostgresServer;
  /** Removes both with their files. */
  destroy(): Promise<void>;
}

/** Starts both servers; 2 s. `settings` go into both postgresql.conf files. */
export async function startPair(settings: Record<string, string> = {}): Promise<ServerPair> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-test-'));
  await chmod(folder, 0o755);
  const [source, target] = await Promise.all([
    PostgresServer.start({ name: 'source', folder: join(folder, 'source'), settings }),
    PostgresServer.start({ name: 'target', folder: join(folder, 'target'), settings }),
  ]);
  return {
    source,
    target,
    destroy: async () => {
      await Promise.all([source.destroy(), target.destroy()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let moves = 0;

/**
 * A move of database `name` (same name on both sides) as a spec with defaults would give, with `change` on top.
 * URLs are handed over through environment variables, as a user would.
 */
export function moveOf(pair: ServerPair, name: string, change: Partial<NormalDatabase> = {}): DatabaseMove {
  moves += 1;
  const migration = `test-${process.pid}-${moves}`;
  const variables = { source: `TEST_SOURCE_${process.pid}_${moves}`, target: `TEST_TARGET_${process.pid}_${moves}` };
  process.env[variables.source] = pair.source.url(name);
  process.env[variables.target] = pair.target.url(name);
  return {
    migration,
    key: scopeKey(migration, name),
    database: {
      name,
      unit: `database/${name}`,
      dependsOn: [],
      source: { env: variables.source },
      target: { env: variables.target },
      tables: { include: ['*.*'], exclude: [] },
      schema: 'copy',
      endpoints: [],
      copy: { parallelism: 2, rangeSize: 16 * 1024 * 1024, rateLimit: null },
      cutover: { maxPause: 5_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 1_000, window: null },
      watch: { for: 60_000, every: 1_000, validateEvery: null, onFailure: 'hold' },
      validation: { parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: [] },
      taskQueues: DEFAULT_TASK_QUEUES,
      ...change,
    },
  };
}
