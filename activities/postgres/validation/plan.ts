/** What the planner would do with a statement, as `EXPLAIN (FORMAT JSON)` tells it. */
import type { Session } from '../session.js';

interface PlanNode {
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Recheck Cond'?: string;
  Plans?: PlanNode[];
}

/** Whether every table in it is read by an index, with a condition on this column of another one: `alias.column`. */
export async function readsByIndex(session: Session, sql: string, column: string): Promise<boolean> {
  const row = await session.row<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`explain (format json) ${sql}`);
  const byIndex = (node: PlanNode): boolean => {
    const conditions = [node['Index Cond'], node['Recheck Cond']];
    const reads = node['Relation Name'] !== undefined;
    if (reads && !conditions.some((condition) => condition?.includes(column))) return false;
    return (node.Plans ?? []).every(byIndex);
  };
  return row !== undefined && byIndex(row['QUERY PLAN'][0].Plan);
}
