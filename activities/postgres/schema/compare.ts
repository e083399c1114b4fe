/** Whether two databases hold the same tables, as far as replication between them, both ways, is concerned. */
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { nameOf, qualified, statement, type TableName } from '../statements.js';

const SHAPES = statement(import.meta.url, '../sql/table_shapes.sql');

/** Statements over many tables stay readable in a server log. */
const TABLES_AT_ONCE = 200;

interface Fact extends Record<string, unknown> {
  schema: string;
  name: string;
  fact: string;
  value: string;
}

export interface FactDifference extends TableName {
  /** Empty: the table itself. */
  fact: string;
  /** Null: isn't there. */
  source: string | null;
  target: string | null;
}

/** Differences in the shape of tables; of a table that only one side has, only that. */
export const compareShapes = (source: Session, target: Session, tables: TableName[]): Promise<FactDifference[]> =>
  compareFacts(source, target, SHAPES, tables);

/** @param sql answers schema, name, fact and value of the tables in `$1`, a JSON list */
export async function compareFacts(
  source: Session,
  target: Session,
  sql: string,
  tables: TableName[],
): Promise<FactDifference[]> {
  const input = [JSON.stringify(tables)];
  const [wanted, found] = await Promise.all([source.rows<Fact>(sql, input), target.rows<Fact>(sql, input)]);
  const keyOf = (fact: Fact): string => JSON.stringify([fact.schema, fact.name, fact.fact]);
  const there = new Map(found.map((fact) => [keyOf(fact), fact.value]));
  const here = new Set(wanted.map(keyOf));
  const differences: FactDifference[] = [
    ...wanted.map((fact) => ({ ...fact, source: fact.value, target: there.get(keyOf(fact)) ?? null })),
    ...found.filter((fact) => !here.has(keyOf(fact))).map((fact) => ({ ...fact, source: null, target: fact.value })),
  ].filter((fact) => fact.source !== fact.target);
  const alone = new Set(
    differences.filter((one) => one.fact === '' && (one.source === null || one.target === null)).map(nameOf),
  );
  return differences
    .filter((one) => one.fact === '' || !alone.has(nameOf(one)))
    .map(({ schema, name, fact, source: mine, target: theirs }) => ({
      schema,
      name,
      fact,
      source: mine,
      target: theirs,
    }));
}

/** Every difference in words; empty when there is none. */
export async function compareTables(source: Session, target: Session, tables: ScopeTable[]): Promise<string[]> {
  const differences = await compareShapes(source, target, tables);
  const absent = differences.filter((one) => one.fact === '' && one.target === null);
  return [
    ...absent.map((one) => `${one.schema}.${one.name} is missing`),
    ...differences
      .filter((one) => !absent.includes(one))
      .map((one) => {
        const what = `${one.schema}.${one.name}: ${one.fact || 'it'}`;
        return `${what} is ${one.target ?? 'missing'}, on the source ${one.source ?? 'missing'}`;
      }),
  ];
}

/** Tables that hold rows; partitioned tables hold none themselves. */
export async function tablesWithRows(session: Session, tables: ScopeTable[]): Promise<string[]> {
  const leaves = tables.filter((table) => table.kind === 'r');
  const filled: string[] = [];
  for (let i = 0; i < leaves.length; i += TABLES_AT_ONCE) {
    const part = leaves.slice(i, i + TABLES_AT_ONCE);
    const sql = part.map((table, n) => `select ${n} as n where exists (select from only ${qualified(table)})`);
    const rows = await session.rows<{ n: number }>(sql.join(' union all '));
    filled.push(...rows.flatMap(({ n }) => part[n] ?? []).map((table) => `${table.schema}.${table.name}`));
  }
  return filled;
}
