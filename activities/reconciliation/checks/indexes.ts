/** Indexes that one side lacks, and such as a failed CREATE INDEX CONCURRENTLY left behind: nobody reads by them. */
import type { Primary } from '../../../spec/status.js';
import { otherSide } from '../../postgres/sides.js';
import { nameOf, statement, type TableName } from '../../postgres/statements.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { tablesOfBoth } from './constraints.js';
import { attempted, drift, SIDES, usually } from './reading.js';
import { settledCatalogs } from './settled.js';

const INDEXES = statement(import.meta.url, './sql/indexes.sql');

export interface Index extends TableName, Record<string, unknown> {
  index: string;
  valid: boolean;
  unique: boolean;
  /** The table, for FROM. */
  rows: string;
  definition: string;
  /** Of its columns, in SQL. */
  expressions: string[];
  predicate: string | null;
  nullsEqual: boolean;
}

export const indexes: Check = async (run) => {
  const notChecked: NotChecked[] = [];
  const what = 'indexes';
  const findings = await attempted(run, what, notChecked, () =>
    settledCatalogs(run, what, notChecked, () => differences(run)),
  );
  return { findings: findings ?? [], notChecked };
};

export async function indexesOf(run: CheckRun): Promise<Record<Primary, Index[]>> {
  const input = [JSON.stringify(run.tables)];
  return {
    source: await run.source.rows<Index>(INDEXES, input),
    target: await run.target.rows<Index>(INDEXES, input),
  };
}

/** The same by what it holds: each server names its own. */
export const isSameIndex = (one: Index, other: Index): boolean =>
  nameOf(one) === nameOf(other) && one.definition === other.definition;

async function differences(run: CheckRun): Promise<Finding[]> {
  const on = await indexesOf(run);
  const both = new Set((await tablesOfBoth(run)).map(nameOf));
  return SIDES.flatMap((side) =>
    on[side].flatMap((index): Finding[] => {
      const about = { schema: index.schema, table: index.name, side };
      if (!index.valid) {
        const detail = `index ${index.index} is invalid on the ${side}: REINDEX or drop it`;
        return [drift({ ...about, detail, ...usually(run, 'drift', 'medium') })];
      }
      if (!both.has(nameOf(index))) return [];
      if (on[otherSide(side)].some((other) => other.valid && isSameIndex(other, index))) return [];
      const detail = `index ${index.index} is on the ${side} only (${index.definition})`;
      return [drift({ ...about, detail, ...(index.unique ? usually(run, 'drift', 'medium') : {}) })];
    }),
  );
}
