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
}

/**
 * The tables that the patterns name, sorted by schema and name. A pattern matches `schema.table`; `*` stands for any
 * run of characters. A partition comes with its parent's name or with its own.
 * Fails with `InvalidSpec` if an include pattern without `*` names no table, or if nothing is left.
 */
export async function resolveTables(session: Session, patterns: NormalDatabase['tables']): Promise<ScopeTable[]> {
  const all = await session.rows<ScopeTable>(USER_TABLES);
  const included = all.filter((table) => patterns.include.some((pattern) => matches(pattern, table)));
  const tables = included.filter((table) => !patterns.exclude.some((pattern) => matches(pattern, table)));
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

/** The tables this scope holds, as `claim` wrote them down. Empty before it, and after its undo. */
export async function scopeTables(session: Session, key: string): Promise<ScopeTable[]> {
  const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.scope_table') is not null as known`);
  if (!known?.known) return [];
  return session.rows<ScopeTable>(
    `select schema_name as schema, table_name as name, kind from godwit.scope_table where scope = $1 order by 1, 2`,
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
  });
}

function some(tables: TableName[]): string {
  const names = tables.slice(0, 10).map((table) => `${table.schema}.${table.name}`);
  const rest = tables.length - names.length;
  return names.length === 0 ? 'none' : names.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
