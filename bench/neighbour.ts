/** What others on the source notice: pgbench at a fixed rate on a small table of another database. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../lab/postgres.js';
import { NEIGHBOUR, NEIGHBOUR_ROWS } from './large-table.js';
import { PgBench } from './pgbench.js';

/** Transactions a second: enough for a percentile, far from what the machine could do. */
export const NEIGHBOUR_RATE = 100;
const CLIENTS = 4;

export async function startNeighbour(server: PostgresServer, folder: string): Promise<PgBench> {
  const script = join(folder, 'seat.sql');
  await writeFile(
    script,
    `\\set id random(1, ${NEIGHBOUR_ROWS})\nupdate seat set taken = taken + 1 where id = :id;\nselect taken from seat where id = :id;\n`,
  );
  return PgBench.start(server, NEIGHBOUR, folder, script, { rate: NEIGHBOUR_RATE, clients: CLIENTS });
}
