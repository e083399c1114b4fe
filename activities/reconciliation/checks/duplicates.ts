/** Rows that should be unique: by the user's rules, and by unique indexes that the other side has and this one lacks. */
import type { Primary } from '../../../spec/status.js';
import { otherSide } from '../../postgres/sides.js';
import { identifier, nameOf } from '../../postgres/statements.js';
import { NAMED_ROWS, type Check, type CheckRun, type Finding, type NotChecked } from '../findings.js';
import { indexesOf, isSameIndex, type Index } from './indexes.js';
import { byHash, Parts } from './parts.js';
import { asUsers, attempted, sessionOf, SIDES, type AsUsers } from './reading.js';
import { findingsOf, rowsFound, settledRows, type KeyedRow } from './settled.js';
import { hasColumns, keyAsText, keyOrder, rowsOf, tablesOf, tablesOn, type CheckedTable } from './tables.js';

/** What makes a row unique, in SQL. */
interface Uniqueness {
  /** Of rows `r`. */
  expressions: string[];
  predicate: string | null;
  nullsEqual: boolean;
  /** For people: the columns named, and why they should be unique. */
  columns: string[] | null;
  why: string;
}

export const duplicates: Check = async (run) => {
  const findings: Finding[] = [];
  const notChecked: NotChecked[] = [];
  const rules = run.normal.checks.duplicates;
  const on = (await attempted(run, 'unique indexes', notChecked, () => indexesOf(run))) ?? { source: [], target: [] };
  for (const side of SIDES) {
    const tables = await tablesOn(sessionOf(run, side), run.tables, run.normal);
    const settings = rules.length === 0 ? {} : await asUsers(run, side);
    const look = async (table: CheckedTable, unique: Uniqueness, as: AsUsers): Promise<void> => {
      const what = `duplicates in ${table.schema}.${table.name} on the ${side}, ${unique.why}`;
      const found = await attempted(run, what, notChecked, () =>
        surplus(run, side, table, unique, as, what, notChecked),
      );
      findings.push(...(found ?? []));
    };
    for (const { tables: pattern, columns } of rules) {
      const ruled = tablesOf(pattern, tables).filter((table) => hasColumns(table, columns));
      if (ruled.length === 0) {
        const why = `no table of that name is reconciled that has ${columns.join(', ')}`;
        notChecked.push({ what: `duplicates of ${pattern} on the ${side}`, why });
      }
      const expressions = columns.map((name) => `r.${identifier(name)}`);
      for (const table of ruled) {
        await look(table, { expressions, predicate: null, nullsEqual: false, columns, why: 'by rule' }, settings);
      }
    }
    for (const index of lacking(on, side)) {
      const table = tables.find((one) => nameOf(one) === nameOf(index));
      if (table !== undefined) await look(table, uniquenessOf(index, side), {});
    }
  }
  return { findings, notChecked };
};

/** Unique indexes of the other side that don't hold here. */
const lacking = (on: Record<Primary, Index[]>, side: Primary): Index[] =>
  on[otherSide(side)].filter(
    (index) => index.unique && index.valid && !on[side].some((mine) => mine.valid && isSameIndex(mine, index)),
  );

const uniquenessOf = ({ index, expressions, predicate, nullsEqual }: Index, side: Primary): Uniqueness => ({
  // As pg_get_indexdef writes them: the row's columns, whatever the alias of the table is.
  expressions: expressions.map((expression) => `(${expression})`),
  predicate,
  nullsEqual,
  columns: null,
  why: `which lacks the unique index ${index} of the ${otherSide(side)}`,
});

/** Rows beyond the first of each value, in the order of their keys. */
async function surplus(
  run: CheckRun,
  side: Primary,
  table: CheckedTable,
  unique: Uniqueness,
  settings: AsUsers,
  what: string,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  const session = sessionOf(run, side);
  const { expressions, predicate, nullsEqual } = unique;
  const conditions = [
    ...(predicate === null ? [] : [`(${predicate})`]),
    // Null is like no other value, unless the index says so.
    ...(nullsEqual ? [] : expressions.map((expression) => `${expression} is not null`)),
  ];
  const sql = (part: string): string => `
    select ${keyAsText(table)} as key, count(*) over () as total
    from (
      select r.*, row_number() over (partition by ${expressions.join(', ')} order by ${keyOrder(table)}) as "godwit nth"
      from ${rowsOf(table)} r where ${[part, ...conditions].join(' and ')}
    ) r
    where "godwit nth" > 1 order by ${keyOrder(table)} limit ${NAMED_ROWS}`;
  const finding = (key: string[] | null, count: number): Finding => ({
    kind: 'duplicate',
    schema: table.schema,
    table: table.name,
    key,
    columns: unique.columns,
    side,
    count,
    detail: `another row has the same values ${unique.columns === null ? `on this side, ${unique.why}` : `in ${unique.columns.join(', ')}`}`,
  });
  const parts = new Parts(run, session, () => Promise.resolve(byHash(expressions)), settings);
  const found = await settledRows(run, side, what, notChecked, () =>
    // Where it is the key that occurs twice, the key names all of them at once.
    parts.rows(async (part) => rowsFound(await session.rows<KeyedRow>(sql(part)), (key) => finding(key, 1))),
  );
  return findingsOf(found, (count) => finding(null, count));
}
