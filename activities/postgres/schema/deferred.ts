/** Keys, indexes, foreign keys and triggers: kept until the rows are there, then applied, each once. */
import type { Session } from '../session.js';
import type { TableName } from '../statements.js';
import { qualified, statement } from '../statements.js';
import type { DumpEntry, SchemaDump } from './dump.js';

const TABLE_OF_INDEX = statement(import.meta.url, '../sql/table_of_index.sql');

/** In the order in which they are applied. */
export const DEFERRED_KINDS = ['key', 'index', 'other', 'foreign-key', 'trigger'] as const;
export type DeferredKind = (typeof DEFERRED_KINDS)[number];

export interface Deferred {
  seq: number;
  kind: DeferredKind;
  table: TableName;
  /** What a person reads: `INDEX orders_by_day`. */
  title: string;
  statement: string;
}

function kindOf(entry: DumpEntry, byId: Map<number, DumpEntry>): DeferredKind {
  switch (entry.type) {
    case 'CONSTRAINT':
      return 'key';
    case 'INDEX':
      return 'index';
    case 'FK CONSTRAINT':
      return 'foreign-key';
    case 'TRIGGER':
    case 'EVENT TRIGGER':
      return 'trigger';
    default: {
      // A comment on a foreign key or trigger can't come before it.
      const about =
        entry.class === '0' ? entry.dependsOn.map((id) => byId.get(id)).find((one) => one !== undefined) : undefined;
      const kind = about === undefined ? 'other' : kindOf(about, byId);
      return kind === 'foreign-key' || kind === 'trigger' ? kind : 'other';
    }
  }
}

/** Writes them down; in the transaction that creates the tables. Materialized views are refreshed once there are rows. */
export async function deferEntries(source: Session, target: Session, key: string, dump: SchemaDump): Promise<void> {
  const entries = dump.after;
  const owners = await source.rows<TableName & { object: string }>(TABLE_OF_INDEX);
  const tables = new Map(owners.map((row) => [row.object, row]));
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const rows = entries.map((entry, i) => ({
    seq: i + 1,
    kind: kindOf(entry, byId),
    schema_name: tables.get(entry.object)?.schema ?? entry.schema,
    table_name: tables.get(entry.object)?.name ?? '',
    title: `${entry.type} ${entry.name}`,
    statement: entry.statement,
  }));
  for (const view of await populatedViews(source, dump.before)) {
    rows.push({
      seq: rows.length + 1,
      kind: 'other',
      schema_name: view.schema,
      table_name: '',
      title: `REFRESH ${view.name}`,
      statement: `refresh materialized view ${qualified(view)}`,
    });
  }
  await target.run('delete from godwit.deferred_ddl where scope = $1', [key]);
  await target.run(
    `insert into godwit.deferred_ddl (scope, seq, kind, schema_name, table_name, title, statement)
     select $1, d.* from json_to_recordset($2::json)
       as d(seq int, kind text, schema_name text, table_name text, title text, statement text)`,
    [key, JSON.stringify(rows)],
  );
}

async function populatedViews(source: Session, entries: DumpEntry[]): Promise<TableName[]> {
  const populated = await source.rows<{ object: string }>(
    `select oid::text as object from pg_class where relkind = 'm' and relispopulated`,
  );
  const objects = new Set(populated.map((row) => row.object));
  return entries.filter((entry) => entry.type === 'MATERIALIZED VIEW' && objects.has(entry.object));
}

export async function pendingDeferred(target: Session, key: string): Promise<Deferred[]> {
  const rows = await target.rows<Omit<Deferred, 'table'> & { schema_name: string; table_name: string }>(
    `select seq, kind, schema_name, table_name, title, statement from godwit.deferred_ddl
     where scope = $1 and not done order by seq`,
    [key],
  );
  return rows.map(({ schema_name: schema, table_name: name, ...row }) => ({ ...row, table: { schema, name } }));
}
