/** Which tables a run compares, and as what: partition by partition where both sides are cut alike, as a whole where not. */
import type { ColumnRule, NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { filterOf, matches, rootOf, userTables, type UserTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { nameOf, statement, type TableName } from '../postgres/statements.js';
import { otherSide, type Sides } from '../postgres/sides.js';
import type { TableToCompare } from '../postgres/validation/compared-table.js';
import type { Finding } from './findings.js';

const TABLES = statement(import.meta.url, './sql/tables.sql');

interface Facts extends TableName {
  bounds: string;
  bytes: number;
  columns: string[];
}

type TableRow = UserTable & Facts;

export interface ChosenTable extends TableToCompare {
  /** On the primary; of a partitioned table, of all its partitions. */
  bytes: number;
  /** Of the two sides. */
  columns: string[];
}

export interface Chosen {
  tables: ChosenTable[];
  /** Tables that only one side has. */
  findings: Finding[];
}

/**
 * The tables that the patterns name on either side, sorted by schema and name. A partition goes by the name of the table at its top.
 * Fails with `InvalidSpec` where a pattern without `*` names nothing on either side, or nothing is left.
 */
export async function chooseTables(
  sides: Pick<Sides, 'source' | 'target'>,
  primary: Primary,
  normal: NormalReconciliation,
): Promise<Chosen> {
  const [source, target] = await Promise.all([treesOf(sides.source, normal), treesOf(sides.target, normal)]);
  const names = [...new Map([...source, ...target].map(([key, tree]) => [key, tree.top])).entries()];
  refuseIdlePatterns(
    normal,
    names.map(([, top]) => top),
  );
  const chosen: Chosen = { tables: [], findings: [] };
  for (const [key, top] of names.sort(([, a], [, b]) => compareNames(a, b))) {
    const here = (primary === 'source' ? source : target).get(key);
    const there = (primary === 'source' ? target : source).get(key);
    if (here !== undefined && there !== undefined) chosen.tables.push(...together(here, there, normal));
    else chosen.findings.push(onOneSide(top, here === undefined ? otherSide(primary) : primary));
  }
  return chosen;
}

const compareNames = (a: TableName, b: TableName): number =>
  a.schema < b.schema || (a.schema === b.schema && a.name < b.name) ? -1 : 1;

function onOneSide({ schema, name }: TableName, side: Primary): Finding {
  const detail = `the table is there on the ${side} only`;
  return { kind: 'drift', schema, table: name, key: null, columns: null, side, count: 1, detail };
}

/** A table with its partitions at every level; an ordinary one alone. */
interface Tree {
  top: TableRow;
  parts: TableRow[];
}

async function treesOf(session: Session, { tables }: NormalReconciliation): Promise<Map<string, Tree>> {
  const named = (patterns: string[], table: TableName): boolean => patterns.some((pattern) => matches(pattern, table));
  const rows = await withFacts(
    session,
    (await userTables(session)).filter(
      (table) => named(tables.include, rootOf(table)) && !named(tables.exclude, rootOf(table)),
    ),
  );
  const isTop = (row: TableRow): boolean => nameOf(rootOf(row)) === nameOf(row);
  const trees = new Map(rows.filter(isTop).map((top): [string, Tree] => [nameOf(top), { top, parts: [] }]));
  for (const row of rows) if (!isTop(row)) trees.get(nameOf(rootOf(row)))?.parts.push(row);
  return trees;
}

/** One that was dropped meanwhile is left out. */
async function withFacts(session: Session, tables: UserTable[]): Promise<TableRow[]> {
  const names = tables.map(({ schema, name }) => ({ schema, name }));
  const facts = await session.rows<Facts & Record<string, unknown>>(TABLES, [JSON.stringify(names)]);
  const known = new Map(facts.map((one) => [nameOf(one), one]));
  return tables.flatMap((table) => {
    const found = known.get(nameOf(table));
    return found === undefined ? [] : [{ ...table, ...found }];
  });
}

function together(here: Tree, there: Tree, normal: NormalReconciliation): ChosenTable[] {
  const rule = (row: TableRow): Omit<ChosenTable, 'schema' | 'name' | 'bytes' | 'columns'> => {
    const excluded = columnsOf(normal.columns, here.top, 'exclude');
    const rowFilter = filterOf(here.top, normal.tables.rowFilters);
    return {
      ...(rowFilter === undefined ? {} : { rowFilter }),
      ...(excluded.length === 0 ? {} : { excluded: excluded.filter((one) => row.columns.includes(one)) }),
    };
  };
  const cut = ({ top, parts }: Tree): string =>
    JSON.stringify([top.kind, top.bounds, parts.map(({ schema, name, kind, bounds }) => [schema, name, kind, bounds])]);
  const both = (row: TableRow, whole: boolean, bytes: number): ChosenTable => ({
    schema: row.schema,
    name: row.name,
    bytes,
    columns: row.columns,
    ...rule(row),
    ...(whole ? { whole } : {}),
  });
  if (here.top.kind === 'r' && there.top.kind === 'r') return [both(here.top, false, here.top.bytes)];
  if (cut(here) === cut(there)) {
    return here.parts.filter(({ kind }) => kind === 'r').map((part) => both(part, false, part.bytes));
  }
  return [
    both(
      here.top,
      true,
      [here.top, ...here.parts].reduce((sum, { bytes }) => sum + bytes, 0),
    ),
  ];
}

/** Of all rules that name the table. */
export function columnsOf(rules: ColumnRule[], table: TableName, what: 'exclude' | 'mask'): string[] {
  return [...new Set(rules.filter((rule) => matches(rule.tables, table)).flatMap((rule) => rule[what]))];
}

function refuseIdlePatterns({ tables }: NormalReconciliation, names: TableName[]): void {
  if (names.length === 0) {
    throw failure(
      'InvalidSpec',
      `tables.include (${tables.include.join(', ')}) and tables.exclude leave no table of either side`,
      'Name at least one table that is there; a partition goes by the name of the table at its top',
    );
  }
  const idle = [...tables.include, ...Object.keys(tables.rowFilters)].find(
    (pattern) => !pattern.includes('*') && !names.some((name) => matches(pattern, name)),
  );
  if (idle === undefined) return;
  throw failure(
    'InvalidSpec',
    `neither side has a table ${idle}, which tables.include or tables.rowFilters names`,
    'Names are schema.table, as \\dt shows them',
  );
}
