/** Prepares and undoes one database as the workflows do, and compares both sides row by row. */
import { claim, undoClaim } from '../../activities/postgres/authority.js';
import { installFence, undoFence } from '../../activities/postgres/fence.js';
import { createPublication, undoPublication } from '../../activities/postgres/replication/publication.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { prepareSchema, undoSchema } from '../../activities/postgres/schema/prepare.js';
import type { DatabaseMove } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';
import type { ServerPair } from './postgres.js';

/** The stage `prepare` up to the point where rows may be copied. */
export async function prepareReplication(move: DatabaseMove): Promise<void> {
  await claim(move);
  await prepareSchema(move);
  await installFence(move);
  await createPublication(move);
}

/** Everything back, in the saga's order. */
export async function undoPreparation(move: DatabaseMove): Promise<void> {
  await undoInitialSync(move);
  await undoPublication(move);
  await undoFence(move);
  await undoSchema(move);
  await undoClaim(move);
}

/** Rows and their hash, by table; equal on both sides when every row is. */
export async function digestOf(server: PostgresServer, database: string): Promise<Record<string, string>> {
  const tables = await server.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'godwit') order by 1`,
    [],
    database,
  );
  const digests: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await server.query<{ digest: string }>(
      `select count(*) || ' rows ' || coalesce(sum(hashtextextended(t::text, 0)), 0) as digest from only ${name} t`,
      [],
      database,
    );
    digests[name] = row?.digest ?? '';
  }
  return digests;
}

/** Waits until `fact` holds; a test that waits for it isn't one that sleeps. */
export async function until(fact: () => Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await fact())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Ranges that the target has for good. */
export async function finishedRanges(pair: ServerPair, database: string): Promise<number> {
  const known = await pair.target.query<{ known: boolean }>(
    `select to_regclass('godwit.copy_range') is not null as known`,
    [],
    database,
  );
  if (known[0]?.known !== true) return 0;
  const [row] = await pair.target.query<{ done: number }>(
    `select count(*)::int as done from godwit.copy_range where state = 'done'`,
    [],
    database,
  );
  return row?.done ?? 0;
}
