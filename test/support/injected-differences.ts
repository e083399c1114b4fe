/** Changes that nobody made on the source: through the fence of the target, behind replication's back, and back again. */
import pg from 'pg';
import type { DatabaseMove } from '../../activities/contract.js';
import { admit } from '../../activities/postgres/copy/sessions.js';
import { admitCopy } from '../../activities/postgres/fence.js';
import { Session } from '../../activities/postgres/session.js';
import { qualified, type TableName } from '../../activities/postgres/statements.js';

/** A difference as validation lists it: table, kind, key, state. */
export type Listed = string;

export const listed = (table: TableName, kind: string, key: string[]): Listed =>
  `${table.schema}.${table.name} ${kind} ${JSON.stringify(key)} confirmed`;

/** A session that writes into the closed target, as the copy does. */
export async function admitted(move: DatabaseMove): Promise<Session> {
  const session = await Session.open('target', move.database.target, { purpose: 'test' });
  await admit(session, await admitCopy(session, move.key), []);
  return session;
}

/** In row n of `table` the nth of `columns` gets a value that another row has, and that is written otherwise. */
export async function changeOneRowEach(session: Session, table: TableName, columns: string[]): Promise<Listed[]> {
  await session.run(`create temporary table saved as select * from ${qualified(table)}`);
  for (const [index, name] of columns.entries()) {
    const column = pg.escapeIdentifier(name);
    await session.run(
      `update ${qualified(table)} r set ${column} = other.${column} from saved other
       where r.id = ${index + 1} and other.id = (
         select min(s.id) from saved s where row(s.${column})::text collate "C" <> row(r.${column})::text)`,
    );
  }
  return columns.map((_, index) => listed(table, 'changed', [`${index + 1}`]));
}

export async function changeBack(session: Session, table: TableName, columns: string[]): Promise<void> {
  for (const [index, name] of columns.entries()) {
    const column = pg.escapeIdentifier(name);
    await session.run(
      `update ${qualified(table)} r set ${column} = s.${column} from saved s where s.id = r.id and r.id = ${index + 1}`,
    );
  }
}

/** Columns of the primary key, in its order; the answer is the key of the first row. */
export async function changeFirstRow(session: Session, table: TableName): Promise<Listed> {
  const key = await session.rows<{ name: string }>(
    `select a.attname as name from pg_index i
     cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, position)
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = $1::regclass and i.indisprimary and k.position <= i.indnkeyatts order by k.position`,
    [qualified(table)],
  );
  // format() writes a value as its type does; a cast to text would cut the padding of char(n).
  const columns = key.map(({ name }) => `format('%s', ${pg.escapeIdentifier(name)})`).join(', ');
  const changed = await session.row<{ key: string[] }>(
    `update only ${qualified(table)} set value = 'changed' where ctid = (select min(ctid) from ${qualified(table)})
     returning array[${columns}] as key`,
  );
  return listed(table, 'changed', changed?.key ?? []);
}

/** What the newest certificate lists. */
export async function differencesOf(session: Session, certificate: string): Promise<Listed[]> {
  const rows = await session.rows<TableName & { kind: string; key: string[]; state: string }>(
    'select schema_name as schema, table_name as name, kind, key, state from godwit.validation_difference where certificate = $1',
    [certificate],
  );
  return rows.map((row) => `${row.schema}.${row.name} ${row.kind} ${JSON.stringify(row.key)} ${row.state}`);
}
