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
}

export interface UserTable extends ScopeTable {
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
 * Fails with `InvalidSpec` if a row filter stands for no table or two stand for one, if an include pattern without `*` names no table, if nothing is left, or if only a part of a
 * partitioned table would move, or a child without a parent.
 */
export async function resolveTables(session: Session, patterns: NormalDatabase['tables']): Promise<ScopeTable[]> {
  const all = await userTables(session);
  const chosen = chosenOf(all, patterns);
  refusePartsOfTrees(session, all, new Set(chosen));
  refuseOrphans(session, chosen);
  const tables = chosen.map(({ schema, name, kind, ...table }): ScopeTable => {
    const rowFilter = filterOf({ schema, name, kind, ...table }, patterns.rowFilters ?? {});
    return { schema, name, kind, ...(rowFilter === undefined ? {} : { rowFilter }) };
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
  const unknown = [...patterns.include, ...patterns.exclude].filter(
    (pattern) => !pattern.includes('*') && !all.some((table) => matches(pattern, table)),
  );
  if (unknown.length > 0) {
    throw failure(
      'InvalidSpec',
      `the ${session.side} has no table ${unknown.join(', ')}, which tables.include or tables.exclude names`,
      `Its tables are ${some(all)}`,
    );
  }
  if (tables.length === 0) {
    throw failure(
      'InvalidSpec',
      `tables.include (${patterns.include.join(', ')}) and tables.exclude leave no table of the ${session.side}`,
      `Its tables are ${some(all)}`,
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

export function rootOf(table: UserTable): UserTable {
  if (table.rootSchema === null || table.rootName === null) return table;
  return { ...table, schema: table.rootSchema, name: table.rootName };
}

function refusePartsOfTrees(session: Session, all: UserTable[], chosen: Set<UserTable>): void {
  const top = (table: UserTable): string => `${rootOf(table).schema}.${rootOf(table).name}`;
  const moving = new Set([...chosen].filter((table) => table.rootName !== null).map(top));
  const staying = all.find((table) => !chosen.has(table) && moving.has(top(table)));
  if (staying === undefined) return;
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
    `select schema_name as schema, table_name as name, kind, row_filter as "rowFilter" from godwit.scope_table where scope = $1 order by 1, 2`,
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
