/**
 * Row filters: which rows of a table move. They are WHERE conditions of the source's publication, so Postgres itself turns
 * an UPDATE that leaves the filter into a DELETE on the target, and one that enters it into an INSERT. The fence is the
 * table's all the same: one writer for a whole table, whichever of its rows have moved.
 * https://www.postgresql.org/docs/current/logical-replication-row-filter.html
 */
import { failure } from '../failure.js';
import { sqlState } from './errors.js';
import { scopeNames } from './names.js';
import type { ScopeTable } from './scope.js';
import type { Session } from './session.js';
import { identifier, qualified, statement, type TableName } from './statements.js';

const IDENTITY_COLUMNS = statement(import.meta.url, './sql/identity_columns.sql');

/** Publications have WHERE since. */
const SINCE = 150_000;
const UNDEFINED_COLUMN = '42703';

export interface FilteredTable extends ScopeTable {
  rowFilter: string;
}

/** Those that hold rows and have a filter. */
export const filtered = (tables: ScopeTable[]): FilteredTable[] =>
  tables.filter((table): table is FilteredTable => table.kind === 'r' && table.rowFilter != null);

export interface RowFilterProblem {
  table: TableName;
  /** What Postgres says of it, or would say. */
  problem: string;
  repair: string;
}

/**
 * Filters that can't be used; reads only. A filter over a column outside of the replica identity is the dangerous one: as
 * soon as it is published, UPDATE and DELETE on the table fail in the application.
 */
export async function rowFilterProblems(source: Session, tables: ScopeTable[]): Promise<RowFilterProblem[]> {
  const wanted = filtered(tables);
  if (wanted.length === 0) return [];
  const version = await source.row<{ number: number; name: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as name`,
  );
  if ((version?.number ?? 0) < SINCE) {
    return wanted.map((table) => ({
      table,
      problem: `row filters need PostgreSQL 15 or newer on the source, and this is ${version?.name ?? 'older'}`,
      repair: `Take tables.rowFilters of ${nameOf(table)} out, so that all its rows move, or upgrade the source first`,
    }));
  }
  const identities = await source.rows<TableName & { columns: string[] }>(IDENTITY_COLUMNS, [JSON.stringify(wanted)]);
  const columnsOf = new Map(identities.map((row) => [nameOf(row), row.columns]));
  const problems: RowFilterProblem[] = [];
  for (const table of wanted) {
    const problem = await problemOf(source, table, columnsOf.get(nameOf(table)) ?? []);
    if (problem !== null) problems.push({ table, ...problem });
  }
  return problems;
}

const nameOf = (table: TableName): string => `${table.schema}.${table.name}`;

async function problemOf(
  source: Session,
  table: FilteredTable,
  identity: string[],
): Promise<Omit<RowFilterProblem, 'table'> | null> {
  const whole = await refusal(source, table, '*');
  if (whole !== null) {
    return { problem: whole.message, repair: `Correct tables.rowFilters of ${nameOf(table)}` };
  }
  const named = await refusal(source, table, identity.map(identifier).join(', '));
  if (named === null) return null;
  const columns = identity.length === 0 ? 'it has no columns' : `its columns are ${identity.join(', ')}`;
  return {
    problem:
      sqlState(named) === UNDEFINED_COLUMN
        ? `it uses a column outside of the replica identity (${columns}): once published, UPDATE and DELETE on the table would fail`
        : named.message,
    repair:
      `Filter by columns of the replica identity, or make them part of it: ` +
      `ALTER TABLE ${qualified(table)} REPLICA IDENTITY USING INDEX with a unique index over them, or REPLICA IDENTITY FULL`,
  };
}

/**
 * What Postgres has against a filter that sees only `columns`; null: nothing. A statement with a parameter is one statement,
 * so nothing can follow the filter; EXPLAIN runs nothing.
 */
async function refusal(source: Session, table: FilteredTable, columns: string): Promise<Error | null> {
  const rows = `(select ${columns} from only ${qualified(table)}) as ${identifier(table.name)}`;
  await source.run('savepoint row_filter');
  try {
    await source.rows(`explain select from ${rows} where $1::boolean and (\n${table.rowFilter}\n)`, [true]);
    return null;
  } catch (error) {
    if (!(error instanceof Error) || source.lost) throw error;
    await source.run('rollback to savepoint row_filter');
    return error;
  }
}

/** Fails with `InvalidSpec`, naming the first filter that can't be used and how to repair it. For a transaction. */
export async function requireRowFilters(source: Session, tables: ScopeTable[]): Promise<void> {
  const [first] = await rowFilterProblems(source, tables);
  if (first === undefined) return;
  throw failure(
    'InvalidSpec',
    `the row filter of ${nameOf(first.table)} can't be used: ${first.problem}`,
    `${first.repair}. Nothing was changed`,
  );
}

/** As a publication writes it. */
export const publishedTable = (table: ScopeTable): string =>
  `only ${qualified(table)}${table.kind === 'r' && table.rowFilter != null ? ` where (\n${table.rowFilter}\n)` : ''}`;

/**
 * Filters as Postgres has understood them, with every name qualified: what copy and validation use, so that all three mean
 * the same rows.
 */
export async function publishedFilters(source: Session, key: string): Promise<(TableName & { rowFilter: string })[]> {
  return source.rows<TableName & { rowFilter: string }>(
    `select n.nspname as schema, c.relname as name, pg_get_expr(r.prqual, r.prrelid) as "rowFilter"
     from pg_publication p
     join pg_publication_rel r on r.prpubid = p.oid
     join pg_class c on c.oid = r.prrelid
     join pg_namespace n on n.oid = c.relnamespace
     where p.pubname = $1 and r.prqual is not null`,
    [scopeNames(key).publication],
  );
}

/** Keeps what `publishedFilters` answered, on one side. */
export async function keepFilters(
  session: Session,
  key: string,
  filters: (TableName & { rowFilter: string })[],
): Promise<void> {
  if (filters.length === 0) return;
  await session.run(
    `update godwit.scope_table s set row_filter = f."rowFilter"
     from json_to_recordset($2::json) as f(schema text, name text, "rowFilter" text)
     where s.scope = $1 and s.schema_name = f.schema and s.table_name = f.name`,
    [key, JSON.stringify(filters)],
  );
}

/**
 * The rows of a table that a comparison sees, as a FROM item without its alias: where there is a filter, those that it lets
 * pass, with the columns that tell one version of a row from the next.
 * @param whole with the rows of its partitions
 */
export function filteredRows(table: TableName, rowFilter: string | null | undefined, whole = false): string {
  const all = whole ? qualified(table) : `only ${qualified(table)}`;
  return rowFilter == null ? all : `(select *, xmin, ctid from ${all} where (\n${rowFilter}\n))`;
}

/**
 * TRUNCATE on the target of a table whose other rows stayed behind: replicated back, it would take those along. DELETE
 * does what is meant. What logical apply truncates forward passes, and so does whoever fills the table: see `removeAll`.
 */
export function truncateGuardStatements(key: string, table: ScopeTable): string[] {
  const { truncateGuard } = scopeNames(key);
  const call = `godwit.${identifier(truncateGuard)}()`;
  return [
    `create or replace function ${call} returns trigger
     language plpgsql security definer set search_path = pg_catalog, pg_temp as $guard$
     begin
       if exists (
         select from pg_catalog.pg_stat_activity a
         where a.pid = pg_catalog.pg_backend_pid() and a.backend_type like 'logical replication %') then
         return null;
       end if;
       raise exception using errcode = '0A000',
         message = pg_catalog.format('cannot truncate %I.%I: its writes flow back, where rows that did not move would be lost', tg_table_schema, tg_table_name),
         hint = 'DELETE the rows, or wait for the migration to be finalized.';
     end $guard$`,
    `drop trigger if exists ${identifier(truncateGuard)} on ${qualified(table)}`,
    `create trigger ${identifier(truncateGuard)} before truncate on ${qualified(table)} for each statement execute function ${call}`,
    `alter table only ${qualified(table)} enable always trigger ${identifier(truncateGuard)}`,
  ];
}
