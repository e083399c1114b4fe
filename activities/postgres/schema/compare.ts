/** Whether two databases hold the same tables, as far as replication between them, both ways, is concerned. */
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { qualified, statement } from '../statements.js';

const SHAPES = statement(import.meta.url, '../sql/table_shapes.sql');

/** Statements over many tables stay readable in a server log. */
const TABLES_AT_ONCE = 200;

interface Fact extends Record<string, unknown> {
  schema: string;
  name: string;
  fact: string;
  value: string;
}

/** Every difference in words; empty when there is none. */
export async function compareTables(source: Session, target: Session, tables: ScopeTable[]): Promise<string[]> {
  const input = [JSON.stringify(tables)];
  const [wanted, found] = await Promise.all([source.rows<Fact>(SHAPES, input), target.rows<Fact>(SHAPES, input)]);
  const factKey = (fact: Fact): string => JSON.stringify([fact.schema, fact.name, fact.fact]);
  const there = new Map(found.map((fact) => [factKey(fact), fact.value]));
  const expected = new Map(wanted.map((fact) => [factKey(fact), fact.value]));
  const missing = new Set(
    wanted.filter((fact) => fact.fact === '' && !there.has(factKey(fact))).map((fact) => `${fact.schema}.${fact.name}`),
  );
  const differences = [...missing].map((table) => `${table} is missing`);
  for (const fact of wanted) {
    const table = `${fact.schema}.${fact.name}`;
    const value = there.get(factKey(fact));
    if (missing.has(table) || value === fact.value) continue;
    differences.push(`${table}: ${fact.fact || 'it'} is ${value ?? 'missing'}, on the source ${fact.value}`);
  }
  for (const fact of found) {
    if (expected.has(factKey(fact))) continue;
    differences.push(`${fact.schema}.${fact.name}: ${fact.fact} is ${fact.value}, on the source missing`);
  }
  return differences;
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
