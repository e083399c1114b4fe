/** A move whose two databases replicate already: equal tables on both sides, fence, publication, slot and subscription. */
import type { DatabaseMove } from '../../activities/contract.js';
import { claim } from '../../activities/postgres/authority.js';
import { installFence } from '../../activities/postgres/fence.js';
import { scopeNames } from '../../activities/postgres/names.js';
import type { NormalDatabase } from '../../spec/normal.js';
import { moveOf, type ServerPair } from './postgres.js';

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
  await installFence(move);
  const names = scopeNames(move.key);
  for (const server of [pair.source, pair.target]) {
    const [tablesOf] = await server.query<{ list: string }>(
      `select string_agg(format('%I.%I', schema_name, table_name), ', ') as list
       from godwit.scope_table where scope = '${move.key}' and kind = 'r'`,
      [],
      name,
    );
    await server.query(
      `create publication ${names.publication} for table ${tablesOf?.list}, godwit.${names.marker}`,
      [],
      name,
    );
  }
  const slot = names.slot('source');
  await pair.source.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, [], name);
  await pair.target.query(
    `create subscription ${slot} connection '${pair.source.url(name)}' publication ${names.publication}
     with (create_slot = false, copy_data = false, slot_name = '${slot}')`,
    [],
    name,
  );
  return move;
}
