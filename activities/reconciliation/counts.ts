/** What a run found, complete: its summary holds the greatest counts only, its tables those of each table that was compared. */
import type { FindingCount, RunSummary, RunTable } from '../../spec/reconciliation.js';

export type Counted = Omit<FindingCount, 'severity'>;

export function countsOf(summary: Pick<RunSummary, 'found'>, tables: RunTable[]): Counted[] {
  const ofTables = tables.flatMap(({ schema, name, findings }) =>
    Object.entries(findings).map(([kind, count]) => ({
      kind: kind as FindingCount['kind'],
      schema,
      table: name,
      count,
    })),
  );
  const elsewhere = summary.found.filter(
    ({ schema, table }) => !tables.some((one) => one.schema === schema && one.name === table),
  );
  const counts = new Map<string, Counted>();
  for (const { kind, schema, table, count } of [...ofTables, ...elsewhere]) {
    const key = JSON.stringify([kind, schema, table]);
    counts.set(key, { kind, schema, table, count: (counts.get(key)?.count ?? 0) + count });
  }
  return [...counts.values()].filter(({ count }) => count > 0);
}

/** Of them, what a person has said may stay; only rows of tables can be accepted. */
export const acceptedIn = (tables: RunTable[]): Counted[] =>
  tables.flatMap(({ schema, name, accepted }) =>
    Object.entries(accepted ?? {}).map(([kind, count]) => ({
      kind: kind as FindingCount['kind'],
      schema,
      table: name,
      count,
    })),
  );

export const totalOf = (counts: Counted[]): number => counts.reduce((sum, { count }) => sum + count, 0);
