/** Which tables a migration moves: patterns resolved against the source once, then kept in both databases. */
import picomatch from 'picomatch';
import type { NormalDatabase } from '../../spec/normal.js';
import { failure } from '../failure.js';
import type { Session } from './session.js';
import { statement, type TableName } from './statements.js';

const USER_TABLES = statement(import.meta.url, './sql/user_tables.sql');

export interface ScopeTable extends TableName {
  /** 'r' holds rows; 'p' is a partitioned table, whose rows live in its partitions. */
  kind: 'r' | 'p';
  /** Condition on the rows that move; null or absent: all of them. */
  rowFilter?: string | null;
  /** What becomes of its rows at a switch, if it is unlogged: see unlogged.ts. Null or absent: they are replicated. */
  unlogged?: CarriedUnlogged | null;
}

export type CarriedUnlogged = 'copy' | 'empty';

/** Tables whose rows logical replication carries: what is published, copied and compared. */
export const replicatedTables = (tables: ScopeTable[]): ScopeTable[] =>
  tables.filter((table) => table.kind === 'r' && table.unlogged == null);

/** Tables whose rows go at the switch, while nobody writes. */
export const unloggedTables = (tables: ScopeTable[]): ScopeTable[] => tables.filter(({ unlogged }) => unlogged != null);

export interface UserTable extends Omit<ScopeTable, 'unlogged'> {
  /** Its rows are in no WAL. */
  unlogged: boolean;
  /** Of a partition or a partitioned table: the table at the top. */
  rootSchema: string | null;
  rootName: string | null;
  /** Those it inherits from without being a partition. */
  parents: TableName[];
}

/**
 * The tables that the patterns name, sorted by schema and name. A pattern matches `schema.table`; `*` stands for any
 * run of characters. Partitions come and go with the partitioned table at their top: rows that are routed into one fire
 * none of its statement triggers, so a fence around a part of them would leak. An UPDATE or DELETE of a parent reaches the
 * rows of its children in the same way (seen: it wrote into the closed target), so a child never moves without its parents.
 * Unlogged tables move where `tables.unlogged` says how; preflight names the others.
 * Fails with `InvalidSpec` if a row filter stands for no table or two stand for one, if an include pattern without `*` names no table, if nothing is left, or if only a part of a
 * partitioned table would move, or a child without a parent.
 */
export async function resolveTables(session: Session, patterns: NormalDatabase['tables']): Promise<ScopeTable[]> {
  const all = await userTables(session);
  const included = chosenOf(all, patterns);
  const carried = new Map(included.map((table) => [table, carriedBy(table, patterns.unlogged ?? {})]));
  const chosen = included.filter((table) => !table.unlogged || carried.get(table) != null);
  refusePartsOfTrees(session, all, new Set(chosen));
  refuseOrphans(session, chosen);
  const tables = chosen.map((table): ScopeTable => {
    const { schema, name, kind } = table;
    const rowFilter = filterOf(table, patterns.rowFilters ?? {});
    // A partitioned table holds no rows itself.
    const unlogged = kind === 'r' ? carried.get(table) : undefined;
    if (rowFilter !== undefined && unlogged !== undefined) throw wholeOnly(session, table);
    return {
      schema,
      name,
      kind,
      ...(rowFilter === undefined ? {} : { rowFilter }),
      ...(unlogged === undefined ? {} : { unlogged }),
    };
  });
  const filters = Object.keys(patterns.rowFilters ?? {});
  const idle = filters.find((pattern) => !chosen.some((table) => namedBy([pattern], table)));
  if (idle !== undefined) {
    throw failure(
      'InvalidSpec',
      `tables.rowFilters names ${idle}, and no table of the ${session.side} that moves is of that name`,
      `Those that move are ${some(chosen)}`,
    );
  }
  const logged = all.filter((table) => !table.unlogged);
  const unknown = [...patterns.include, ...patterns.exclude, ...Object.keys(patterns.unlogged ?? {})].filter(
    (pattern) => !pattern.includes('*') && !all.some((table) => matches(pattern, table)),
  );
  if (unknown.length > 0) {
    throw failure(
      'InvalidSpec',
      `the ${session.side} has no table ${unknown.join(', ')}, which tables.include, tables.exclude or tables.unlogged names`,
      `Its tables are ${some(all)}`,
    );
  }
  if (tables.length === 0) {
    throw failure(
      'InvalidSpec',
      `tables.include (${patterns.include.join(', ')}) and tables.exclude leave no table of the ${session.side}`,
      `Its tables are ${some(logged)}`,
    );
  }
  return tables;
}

/** Every table that somebody has made, partitions included. */
export const userTables = (session: Session): Promise<UserTable[]> =>
  session.rows<UserTable & Record<string, unknown>>(USER_TABLES);

/** Those that the patterns name, themselves or by the table at their top. */
export const chosenOf = (all: UserTable[], patterns: { include: string[]; exclude: string[] }): UserTable[] =>
  all.filter((table) => namedBy(patterns.include, table) && !namedBy(patterns.exclude, table));

const namedBy = (patterns: string[], table: UserTable): boolean =>
  patterns.some((pattern) => matches(pattern, table) || matches(pattern, rootOf(table)));

/** That of the table at its top goes for a partition. Fails with `InvalidSpec` if two patterns name the table. */
export function filterOf(table: UserTable, rowFilters: Record<string, string>): string | undefined {
  const named = Object.keys(rowFilters).filter((pattern) => matches(pattern, table) || matches(pattern, rootOf(table)));
  const [pattern, second] = named;
  if (pattern === undefined) return undefined;
  if (second === undefined) return rowFilters[pattern];
  throw failure(
    'InvalidSpec',
    `tables.rowFilters has two conditions for ${table.schema}.${table.name}: that of ${pattern} and that of ${second}`,
    'Write one condition, joined by "and" or "or"',
  );
}

/**
 * What is asked for an unlogged table, or for the one at its top; undefined: nothing, or it is logged.
 * Fails with `InvalidSpec` if two patterns name the table.
 */
function carriedBy(table: UserTable, asked: Record<string, CarriedUnlogged>): CarriedUnlogged | undefined {
  if (!table.unlogged) return undefined;
  const [pattern, second] = Object.keys(asked).filter((one) => matches(one, table) || matches(one, rootOf(table)));
  if (pattern === undefined) return undefined;
  if (second === undefined) return asked[pattern];
  throw failure(
    'InvalidSpec',
    `tables.unlogged says twice what becomes of ${table.schema}.${table.name}: by ${pattern} and by ${second}`,
    'Leave one of the two patterns',
  );
}

function wholeOnly(session: Session, { schema, name }: TableName): Error {
  return failure(
    'InvalidSpec',
    `tables.rowFilters names ${schema}.${name}, which is unlogged on the ${session.side}: the switch carries such a table whole`,
    `Take its condition out, or ALTER TABLE ${schema}.${name} SET LOGGED`,
  );
}

export function rootOf(table: UserTable): UserTable {
  if (table.rootSchema === null || table.rootName === null) return table;
  return { ...table, schema: table.rootSchema, name: table.rootName };
}

function refusePartsOfTrees(session: Session, all: UserTable[], chosen: Set<UserTable>): void {
  const top = (table: UserTable): string => `${rootOf(table).schema}.${rootOf(table).name}`;
  const moving = new Set([...chosen].filter((table) => table.rootName !== null).map(top));
  const staying = all.find((table) => !chosen.has(table) && moving.has(top(table)));
  if (staying === undefined) return;
  if (staying.unlogged) {
    throw failure(
      'InvalidSpec',
      `${staying.schema}.${staying.name} of the ${session.side} is unlogged and a part of the partitioned table ${top(staying)}, which moves: no replication carries its rows`,
      `Name it in tables.unlogged, or ALTER TABLE ${staying.schema}.${staying.name} SET LOGGED`,
    );
  }
  throw failure(
    'InvalidSpec',
    `only a part of the partitioned table ${top(staying)} of the ${session.side} would move: ${staying.schema}.${staying.name} is left out`,
    `Name ${top(staying)} in tables.include, and none of its partitions in tables.exclude`,
  );
}

function refuseOrphans(session: Session, chosen: UserTable[]): void {
  const nameOf = (table: TableName): string => `${table.schema}.${table.name}`;
  const moving = new Set(chosen.map(nameOf));
  for (const child of chosen) {
    const parent = child.parents.find((one) => !moving.has(nameOf(one)));
    if (parent === undefined) continue;
    throw failure(
      'InvalidSpec',
      `${nameOf(child)} of the ${session.side} inherits from ${nameOf(parent)}, which would stay: writes to that one would reach its rows past the fence`,
      `Name ${nameOf(parent)} in tables.include, or end the inheritance`,
    );
  }
}

/** The tables this scope holds, as `claim` wrote them down. Empty before it, and after its undo. */
export async function scopeTables(session: Session, key: string): Promise<ScopeTable[]> {
  const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.scope_table') is not null as known`);
  if (!known?.known) return [];
  return session.rows<ScopeTable>(
    // By JSON: scopes that an earlier version made have no such column.
    `select schema_name as schema, table_name as name, kind, row_filter as "rowFilter", to_jsonb(t) ->> 'unlogged' as unlogged
     from godwit.scope_table t where scope = $1 order by 1, 2`,
    [key],
  );
}

/** Whether a pattern of `tables.include` or `tables.exclude` names this table. */
export function matches(pattern: string, table: TableName): boolean {
  return picomatch.isMatch(`${table.schema}.${table.name}`, pattern, {
    nobrace: true,
    noext: true,
    dot: true,
    nonegate: true,
    bash: true,
    // A line break in a quoted name is a character like any other: without this, `*` leaves such a table behind in silence.
    flags: 's',
  });
}

function some(tables: TableName[]): string {
  const names = tables.slice(0, 10).map((table) => `${table.schema}.${table.name}`);
  const rest = tables.length - names.length;
  return names.length === 0 ? 'none' : names.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
