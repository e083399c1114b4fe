/**
 * Rows that refer to nothing. Each foreign key that either side promises is looked at on both sides, also where it is missing
 * or NOT VALID on one; and where the parent is on the other side only, across: the child's rows here, the parent's there. A child
 * that takes too long for one statement is looked at in parts of its key.
 */
import type { Primary } from '../../../spec/status.js';
import { danglingRows, referencesOf, referringRows, type Reference } from '../../postgres/references.js';
import type { Session } from '../../postgres/session.js';
import { otherSide } from '../../postgres/sides.js';
import { identifier, type TableName } from '../../postgres/statements.js';
import { NAMED_ROWS, type Check, type CheckRun, type Finding, type NotChecked } from '../findings.js';
import { byKey, Parts } from './parts.js';
import { attempted, reading, sessionOf, SIDES } from './reading.js';
import { behind, CATCH_UP_MS, findingsOf, rowsFound, settledRows, type KeyedRow, type RowsFound } from './settled.js';
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
    const parts = partsOf(run, session, child);
    const found = await settledRows(run, side, what, notChecked, () =>
      parts.rows((part) => rowsWithout(session, side, reference, child, part)),
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

const partsOf = (run: CheckRun, session: Session, child: CheckedTable): Parts =>
  new Parts(run, session, () => byKey(session, child, 'c'));

async function rowsWithout(
  session: Session,
  side: Primary,
  reference: Reference,
  child: CheckedTable,
  part: string,
): Promise<RowsFound> {
  const rows = await session.rows<KeyedRow>(
    `select ${keyAsText(child, 'c')} as key, count(*) over () as total ${danglingRows(reference)} and ${part}
     order by ${keyOrder(child, 'c')} limit ${NAMED_ROWS}`,
  );
  return rowsFound(rows, (key) => finding(reference, side, key, 1, nameOfParent(reference)));
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
  const parts = partsOf(run, here, child);
  let values = await valuesWithout(run, parts, there, reference);
  for (let looks = 0; looks < 2 && values.length > 0; looks += 1) {
    if (!(await run.caughtUp(CATCH_UP_MS))) {
      notChecked.push(behind(what));
      return [];
    }
    const referred = await stillReferred(parts, reference, values);
    values = await reading(run, there, () => absentOf(there, reference, referred));
  }
  if (values.length === 0) return [];
  const parent = `${nameOfParent(reference)} of the ${otherSide(side)}`;
  const found = await parts.rows(async (part) => {
    const rows = await here.rows<KeyedRow>(
      `select ${keyAsText(child, 'c')} as key, count(*) over () as total from ${reference.child_rows} c
       where ${part} and (${textsOf(reference)}) in (select * from unnest(${arrays(reference)}))
       order by ${keyOrder(child, 'c')} limit ${NAMED_ROWS}`,
      transposed(reference, values),
    );
    return rowsFound(rows, (key) => finding(reference, side, key, 1, parent));
  });
  return findingsOf(found, (count) => finding(reference, side, null, count, parent));
}

const textsOf = ({ columns }: Reference): string => columns.map(({ mine }) => `c.${identifier(mine)}::text`).join(', ');
const arrays = ({ columns }: Reference): string => columns.map((_, index) => `$${index + 1}::text[]`).join(', ');

/** A column's values each, as parameters. */
const transposed = ({ columns }: Reference, values: string[][]): string[][] =>
  columns.map((_, index) => values.map((value) => value[index] ?? ''));

/** Of a foreign key of several columns, only rows that give all of them are looked at across. */
const complete = (reference: Reference): string => referringRows({ ...reference, match_full: false });

async function valuesWithout(run: CheckRun, parts: Parts, there: Session, reference: Reference): Promise<string[][]> {
  const here = parts.session;
  const missing = new Map<string, string[]>();
  await parts.each(async (part) => {
    await here.run(
      `declare referred no scroll cursor for
       select distinct ${textsOf(reference)} from ${reference.child_rows} c where ${part} and ${complete(reference)}`,
    );
    for (;;) {
      run.signal.throwIfAborted();
      const rows = await arraysOf(here, `fetch ${ASKED_AT_ONCE} from referred`);
      if (rows.length === 0 || missing.size > SUSPECTS) return;
      for (const value of await reading(run, there, () => absentOf(there, reference, rows))) {
        missing.set(JSON.stringify(value), value);
      }
    }
  });
  return [...missing.values()].slice(0, SUSPECTS);
}

/** Rows as lists, since columns may share names. */
async function arraysOf(session: Session, text: string, values: unknown[] = []): Promise<string[][]> {
  return (await session.raw.query<string[]>({ text, values, rowMode: 'array' })).rows;
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

async function stillReferred(parts: Parts, reference: Reference, values: string[][]): Promise<string[][]> {
  const referred = await parts.each((part) =>
    arraysOf(
      parts.session,
      `select distinct ${textsOf(reference)} from ${reference.child_rows} c
       where ${part} and (${textsOf(reference)}) in (select * from unnest(${arrays(reference)}))`,
      transposed(reference, values),
    ),
  );
  // parts share values
  return [...new Map(referred.flat().map((value) => [JSON.stringify(value), value])).values()];
}
