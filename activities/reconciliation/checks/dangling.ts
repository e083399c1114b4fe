/**
 * Rows that refer to nothing. Each foreign key that either side promises is looked at on both sides, also where it is missing
 * or NOT VALID on one; and where the parent is on the other side only, across: the child's rows here, the parent's there.
 */
import type { Primary } from '../../../spec/status.js';
import { danglingRows, referencesOf, referringRows, type Reference } from '../../postgres/references.js';
import type { Session } from '../../postgres/session.js';
import { otherSide } from '../../postgres/sides.js';
import { identifier, type TableName } from '../../postgres/statements.js';
import { NAMED_ROWS, type Check, type CheckRun, type Finding, type NotChecked } from '../findings.js';
import { attempted, reading, sessionOf, SIDES } from './reading.js';
import { behind, CATCH_UP_MS, findingsOf, settledRows, type RowsFound } from './settled.js';
import { keyAsText, keyOrder, tablesOn, type CheckedTable } from './tables.js';

/** Values asked of the other side at once. */
const ASKED_AT_ONCE = 5_000;
/** More values without a parent than this aren't looked at again one by one. */
const SUSPECTS = 10_000;

export const dangling: Check = async (run) => {
  const findings: Finding[] = [];
  const notChecked: NotChecked[] = [];
  for (const promised of await promisedKeys(run)) {
    for (const side of SIDES) {
      const what = `foreign key ${promised.any.name} of ${nameOfChild(promised.any)} on the ${side}`;
      const found = await attempted(run, what, notChecked, () => lookAt(run, side, promised, what, notChecked));
      findings.push(...(found ?? []));
    }
  }
  return { findings, notChecked };
};

const nameOfChild = (reference: Reference): string => `${reference.child_schema}.${reference.child_table}`;
const nameOfParent = (reference: Reference): string => `${reference.parent_schema}.${reference.parent_table}`;
const childOf = ({ child_schema, child_table }: Reference): TableName => ({ schema: child_schema, name: child_table });

interface Promised extends Partial<Record<Primary, Reference>> {
  any: Reference;
}

/** Those that are valid on one side at least. */
async function promisedKeys(run: CheckRun): Promise<Promised[]> {
  const keys = new Map<string, Promised>();
  for (const side of SIDES) {
    for (const reference of await referencesOf(sessionOf(run, side), run.tables)) {
      const columns = reference.columns.map(({ mine, theirs }) => [mine, theirs]);
      const identity = JSON.stringify([nameOfChild(reference), nameOfParent(reference), columns]);
      keys.set(identity, { any: reference, ...keys.get(identity), [side]: reference });
    }
  }
  return [...keys.values()].filter(({ source, target }) => source?.validated || target?.validated);
}

async function lookAt(
  run: CheckRun,
  side: Primary,
  promised: Promised,
  what: string,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  const session = sessionOf(run, side);
  const reference = promised[side] ?? promised.any;
  const [child] = await tablesOn(session, [childOf(reference)], run.normal);
  if (child === undefined) return [];
  if (await hasParent(session, reference)) {
    const found = await settledRows(run, side, what, notChecked, () =>
      reading(run, session, () => rowsWithout(session, side, reference, child)),
    );
    return findingsOf(found, (count) => finding(reference, side, null, count, nameOfParent(reference)));
  }
  if (!(await hasParent(sessionOf(run, otherSide(side)), reference))) return [];
  return lookAcross(run, side, reference, child, what, notChecked);
}

async function hasParent(session: Session, reference: Reference): Promise<boolean> {
  const found = await session.row(
    `select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`,
    [reference.parent_schema, reference.parent_table],
  );
  return found !== undefined;
}

function finding(reference: Reference, side: Primary, key: string[] | null, count: number, parent: string): Finding {
  return {
    kind: 'dangling',
    schema: reference.child_schema,
    table: reference.child_table,
    key,
    columns: reference.columns.map(({ mine }) => mine),
    side,
    count,
    detail: `no row in ${parent} (${reference.name})`,
  };
}

type Row = { key: string[] | null; total: string };

async function rowsWithout(
  session: Session,
  side: Primary,
  reference: Reference,
  child: CheckedTable,
): Promise<RowsFound> {
  const rows = await session.rows<Row>(
    `select ${keyAsText(child, 'c')} as key, count(*) over () as total ${danglingRows(reference)}
     order by ${keyOrder(child, 'c')} limit ${NAMED_ROWS}`,
  );
  return rowsFound(rows, (key) => finding(reference, side, key, 1, nameOfParent(reference)));
}

/** Rows without a key can't be told apart, and are only counted. */
export function rowsFound(rows: Row[], named: (key: string[]) => Finding): RowsFound {
  const keys = rows.flatMap(({ key }) => (key === null ? [] : [key]));
  return {
    named: new Map(keys.map((key) => [JSON.stringify(key), named(key)])),
    total: Number(rows[0]?.total ?? 0),
  };
}

// ── across sides ──

/**
 * What the child refers to that the other side lacks, looked at again when the standby has caught up: a parent may be on its
 * way, or have gone with its children, which then are.
 */
async function lookAcross(
  run: CheckRun,
  side: Primary,
  reference: Reference,
  child: CheckedTable,
  what: string,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  const [here, there] = [sessionOf(run, side), sessionOf(run, otherSide(side))];
  let values = await reading(run, here, () => valuesWithout(run, here, there, reference));
  for (let looks = 0; looks < 2 && values.length > 0; looks += 1) {
    if (!(await run.caughtUp(CATCH_UP_MS))) {
      notChecked.push(behind(what));
      return [];
    }
    const referred = await stillReferred(run, here, reference, values);
    values = await reading(run, there, () => absentOf(there, reference, referred));
  }
  if (values.length === 0) return [];
  const parent = `${nameOfParent(reference)} of the ${otherSide(side)}`;
  const rows = await reading(run, here, () =>
    here.rows<Row>(
      `select ${keyAsText(child, 'c')} as key, count(*) over () as total from ${reference.child_rows} c
       where (${textsOf(reference)}) in (select * from unnest(${arrays(reference)}))
       order by ${keyOrder(child, 'c')} limit ${NAMED_ROWS}`,
      transposed(reference, values),
    ),
  );
  const found = rowsFound(rows, (key) => finding(reference, side, key, 1, parent));
  return findingsOf(found, (count) => finding(reference, side, null, count, parent));
}

const textsOf = ({ columns }: Reference): string => columns.map(({ mine }) => `c.${identifier(mine)}::text`).join(', ');
const arrays = ({ columns }: Reference): string => columns.map((_, index) => `$${index + 1}::text[]`).join(', ');

/** A column's values each, as parameters. */
const transposed = ({ columns }: Reference, values: string[][]): string[][] =>
  columns.map((_, index) => values.map((value) => value[index] ?? ''));

/** Of a foreign key of several columns, only rows that give all of them are looked at across. */
const complete = (reference: Reference): string => referringRows({ ...reference, match_full: false });

/** In a transaction of `here`. */
async function valuesWithout(run: CheckRun, here: Session, there: Session, reference: Reference): Promise<string[][]> {
  const missing: string[][] = [];
  await here.run(
    `declare referred no scroll cursor for
     select distinct ${textsOf(reference)} from ${reference.child_rows} c where ${complete(reference)}`,
  );
  for (;;) {
    run.signal.throwIfAborted();
    const { rows } = await here.raw.query<string[]>({ text: `fetch ${ASKED_AT_ONCE} from referred`, rowMode: 'array' });
    if (rows.length === 0 || missing.length > SUSPECTS) return missing.slice(0, SUSPECTS);
    missing.push(...(await reading(run, there, () => absentOf(there, reference, rows))));
  }
}

async function absentOf(there: Session, reference: Reference, values: string[][]): Promise<string[][]> {
  if (values.length === 0) return [];
  const names = reference.columns.map((_, index) => `k${index + 1}`).join(', ');
  const same = reference.columns.map(
    ({ theirs, equals, type }, index) => `p.${identifier(theirs)} ${equals} w.k${index + 1}::${type}`,
  );
  const absent = await there.rows<{ n: string }>(
    `select w.n from unnest(${arrays(reference)}) with ordinality as w(${names}, n)
     where not exists (select from ${reference.parent_rows} p where ${same.join(' and ')}) order by w.n`,
    transposed(reference, values),
  );
  return absent.flatMap(({ n }) => values.slice(Number(n) - 1, Number(n)));
}

async function stillReferred(
  run: CheckRun,
  here: Session,
  reference: Reference,
  values: string[][],
): Promise<string[][]> {
  return reading(run, here, async () => {
    const { rows } = await here.raw.query<string[]>({
      text: `select distinct ${textsOf(reference)} from ${reference.child_rows} c
             where (${textsOf(reference)}) in (select * from unnest(${arrays(reference)}))`,
      values: transposed(reference, values),
      rowMode: 'array',
    });
    return rows;
  });
}
