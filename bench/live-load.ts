/** Live load on the large table itself: pgbench at a fixed rate, updates all over it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../lab/postgres.js';
import { PgBench } from './pgbench.js';

const CLIENTS = 4;

/** @param rows keys 1…rows are updated; those above are left alone */
export async function startLiveLoad(
  server: PostgresServer,
  database: string,
  folder: string,
  { rate, rows }: { rate: number; rows: number },
): Promise<PgBench> {
  const script = join(folder, 'live.sql');
  await writeFile(
    script,
    `\\set id random(1, ${rows})\nupdate public.orders set amount = amount + 1, status = (status + 1) % 7 where id = :id;\n`,
  );
  return PgBench.start(server, database, folder, script, { rate, clients: CLIENTS });
}
