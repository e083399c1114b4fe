/** A move whose two databases replicate already: equal tables on both sides, fence, publication, slot and subscription. */
import type { DatabaseMove } from '../../activities/contract.js';
import { claim } from '../../activities/postgres/authority.js';
import { installFence } from '../../activities/postgres/fence.js';
import { raiseHint } from '../../activities/postgres/multi-host.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { Session } from '../../activities/postgres/session.js';
import { bothSides } from '../../activities/postgres/sides.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { moveOf, type ServerPair } from './postgres.js';

/** As `prepareSchema` begins. */
async function hinted(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'test');
  await raiseHint(sides, move);
}

/** @param tables SQL run on both sides of the new database `name` */
export async function replicatedMove(
  pair: ServerPair,
  name: string,
  tables: string,
  change: Partial<NormalDatabase> = {},
): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) {
    await server.createDatabase(name);
    await server.query(tables, [], name);
  }
  const move = moveOf(pair, name, change);
  await claim(move);
  await hinted(move);
  await installFence(move);
  const names = scopeNames(move.key);
  // Sessions like Godwit's own: to others the target may say that it is read-only.
  await using source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
  await using target = await Session.open('target', pair.target.url(name), { purpose: 'test' });
  for (const session of [source, target]) {
    const tablesOf = await session.row<{ list: string }>(
      `select string_agg(format('%I.%I', schema_name, table_name), ', ') as list
       from godwit.scope_table where scope = $1 and kind = 'r' and unlogged is null`,
      [move.key],
    );
    await session.run(`create publication ${names.publication} for table ${tablesOf?.list}, godwit.${names.marker}`);
  }
  const slot = names.slot('source');
  await source.rows(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await target.run(
    `create subscription ${slot} connection '${pair.source.url(name)}' publication ${names.publication}
     with (create_slot = false, copy_data = false, slot_name = '${slot}')`,
  );
  return move;
}
