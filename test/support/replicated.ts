/** A scope in the middle of a move, made by hand: claimed, published, and replicating from source to target. */
import { readFileSync } from 'node:fs';
import type { DatabaseMove } from '../../activities/contract.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { resolveTables } from '../../activities/postgres/scope.js';
import { Session } from '../../activities/postgres/session.js';
import { identifier, qualified } from '../../activities/postgres/statements.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { PostgresServer } from '../../lab/postgres.js';
import { moveOf, type ServerPair } from './postgres.js';

const SCHEMA = readFileSync(new URL('../../activities/postgres/sql/schema.sql', import.meta.url), 'utf8');

export interface Replicated {
  move: DatabaseMove;
  /** Superuser's sessions for what the test does itself. */
  source: Session;
  target: Session;
  /** Waits until the target has applied all that the source committed. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes `name` on both sides with `ddl` (`targetDdl` runs before it on the target only) and replicates all tables.
 * `rows` runs on the source once replication is on.
 */
export async function replicated(
  pair: ServerPair,
  name: string,
  ddl: string,
  options: { targetDdl?: string; rows?: string; change?: Partial<NormalDatabase> } = {},
): Promise<Replicated> {
  await Promise.all([pair.source.createDatabase(name), pair.target.createDatabase(name)]);
  const move = moveOf(pair, name, options.change);
  const source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
  const target = await Session.open('target', pair.target.url(name), { purpose: 'test' });
  if (options.targetDdl) await target.run(options.targetDdl);
  for (const session of [source, target]) {
    await session.run('set search_path = public');
    await session.run(ddl);
    await claimed(session, move);
  }
  await follow(pair, move, source, target);
  if (options.rows) await source.run(options.rows);
  const caughtUp = async (): Promise<void> => {
    const id = `caught-up-${Math.random()}`;
    const marker = `godwit.${identifier(scopeNames(move.key).marker)}`;
    await source.run(`insert into ${marker} values ($1, clock_timestamp())`, [id]);
    while ((await target.row(`select from ${marker} where id = $1`, [id])) === undefined) continue;
  };
  await caughtUp();
  return {
    move,
    source,
    target,
    caughtUp,
    close: async () => {
      await Promise.all([source.close(), target.close()]);
    },
  };
}

async function claimed(session: Session, move: DatabaseMove): Promise<void> {
  const tables = await resolveTables(session, move.database.tables);
  await session.run(SCHEMA);
  await session.run(
    `insert into godwit.authority (scope, migration, database, side, epoch, state, system_identifier, timeline)
     values ($1, $2, $3, $4, 1, $5, '0', 1)`,
    [move.key, move.migration, move.database.name, session.side, session.side === 'source' ? 'open' : 'closed'],
  );
  for (const table of tables) {
    await session.run('insert into godwit.scope_table values ($1, $2, $3, $4)', [
      move.key,
      table.schema,
      table.name,
      table.kind,
    ]);
  }
  await session.run(
    `create table godwit.${identifier(scopeNames(move.key).marker)} (id text primary key, written_at timestamptz not null)`,
  );
}

/** Publication, slot and subscription; nothing is copied, since the tables are empty or the same. */
export async function follow(pair: ServerPair, move: DatabaseMove, from: Session, to: Session): Promise<void> {
  const names = scopeNames(move.key);
  const leaves = (await resolveTables(from, move.database.tables)).filter((table) => table.kind === 'r');
  const tables = [...leaves.map(qualified), `godwit.${identifier(names.marker)}`];
  await from.run(`create publication ${identifier(names.publication)} for table ${tables.join(', ')}`);
  const side = from.side === 'source' ? 'source' : 'target';
  const slot = names.slot(side);
  await from.rows(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  const connection = `host=127.0.0.1 port=${pair[side].port} dbname=${move.database.name} user=${PostgresServer.user} password=${PostgresServer.password}`;
  await to.run(
    `create subscription ${identifier(slot)} connection '${connection}' publication ${identifier(names.publication)}
     with (create_slot = false, copy_data = false, two_phase = false, slot_name = '${slot}')`,
  );
}
