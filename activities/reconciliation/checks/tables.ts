/** Tables as the checks see them: with their kind, their root, their key as text, and the rows that are reconciled. */
import type { NormalReconciliation } from '../../../spec/reconciliation.js';
import { filteredRows } from '../../postgres/row-filter.js';
import { filterOf, matches, rootOf, type UserTable, userTables } from '../../postgres/scope.js';
import type { Session } from '../../postgres/session.js';
import { identifier, nameOf, qualified, type TableName } from '../../postgres/statements.js';
import { describeSide, type DescribedTable } from '../../postgres/validation/describe.js';
import { text } from '../../postgres/validation/expression.js';

export interface CheckedTable extends UserTable {
  shape: DescribedTable['shape'];
  rowFilter: string | null;
}

/** Those of `tables` that this side has. */
export async function tablesOn(
  session: Session,
  tables: TableName[],
  normal: NormalReconciliation,
): Promise<CheckedTable[]> {
  const wanted = new Set(tables.map(nameOf));
  const there = (await userTables(session)).filter((table) => wanted.has(nameOf(table)));
  const shapes = await describeSide(session, there);
  return there.flatMap((table) => {
    const described = shapes.get(nameOf(table));
    // Dropped between the two looks.
    if (described === undefined) return [];
    return [{ ...table, shape: described.shape, rowFilter: filterOf(table, normal.tables.rowFilters) ?? null }];
  });
}

/** Those that a rule is about: a partitioned table, and not besides it its partitions. */
export function tablesOf(pattern: string, tables: CheckedTable[]): CheckedTable[] {
  const roots = tables.filter((table) => table.kind === 'p' && matches(pattern, table));
  return tables.filter(
    (table) =>
      matches(pattern, table) &&
      !roots.some((root) => root !== table && root.schema === rootOf(table).schema && root.name === rootOf(table).name),
  );
}

export const hasColumns = (table: CheckedTable, columns: string[]): boolean =>
  columns.every((name) => table.shape.columns.some((column) => column.name === name));

/** For FROM: the rows that are reconciled, without those of tables that inherit. */
export function rowsOf(table: CheckedTable): string {
  if (table.kind === 'r') return filteredRows(table, table.rowFilter);
  return table.rowFilter === null ? qualified(table) : `(select * from ${qualified(table)} where (${table.rowFilter}))`;
}

/** Columns of the key in SQL, of rows `r`; empty: no key. */
export const keyColumnsOf = ({ shape: { key } }: CheckedTable): string[] => keyParts(key).map(({ name }) => name);

const keyParts = (key: CheckedTable['shape']['key']) => {
  if (key.kind === 'none') return [];
  return key.kind === 'integer' ? [key.column] : key.columns;
};

/** text[] in SQL, of rows `alias`; null where there is no key. */
export function keyAsText({ shape: { key } }: CheckedTable, alias = 'r'): string {
  const parts = keyParts(key).map(({ name, type }) => text(type, `${alias}.${identifier(name)}`));
  return parts.length === 0 ? 'null::text[]' : `array[${parts.join(', ')}]`;
}

/** For ORDER BY; where there is no key, nothing is named, and the order is of no matter. */
export function keyOrder(table: CheckedTable, alias = 'r'): string {
  const columns = keyColumnsOf(table);
  return columns.length === 0 ? '1' : columns.map((name) => `${alias}.${identifier(name)}`).join(', ');
}
