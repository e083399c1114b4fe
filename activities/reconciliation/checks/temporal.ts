/** Rules about time: out of order, in the future, gaps in a sequence of events. Each on both sides, by their own rows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TemporalRule } from '../../../spec/reconciliation.js';
import type { Primary } from '../../../spec/status.js';
import type { Session } from '../../postgres/session.js';
import { identifier } from '../../postgres/statements.js';
import { NAMED_ROWS, type Check, type CheckRun, type Finding, type NotChecked } from '../findings.js';
import { byHash, byKey, Parts, type Cut } from './parts.js';
import { asUsers, attempted, primaryOf, sessionOf, SIDES, type AsUsers } from './reading.js';
import { findingsOf, rowsFound, settledRows, type KeyedRow, type RowsFound } from './settled.js';
import { hasColumns, keyAsText, keyOrder, rowsOf, tablesOf, tablesOn, type CheckedTable } from './tables.js';

/** A transaction that has taken a number, and is open for longer, leaves a gap that can't be judged. */
const OPEN_MS = 10_000;
const LOOK_EVERY_MS = 20;

export const temporal: Check = async (run) => {
  const findings: Finding[] = [];
  const notChecked: NotChecked[] = [];
  const rules = run.normal.checks.temporal;
  if (rules.length === 0) return { findings, notChecked };
  for (const side of SIDES) {
    const settings = await asUsers(run, side);
    const tables = await tablesOn(sessionOf(run, side), run.tables, run.normal);
    for (const rule of rules) {
      for (const table of ruledTables(rule, tables, side, notChecked)) {
        const what = `${rule.kind} of ${table.schema}.${table.name} on the ${side}`;
        const found = await attempted(run, what, notChecked, () =>
          broken(run, side, rule, table, settings, what, notChecked),
        );
        findings.push(...(found ?? []));
      }
    }
  }
  return { findings, notChecked };
};

function columnsOf(rule: TemporalRule): string[] {
  switch (rule.kind) {
    case 'order':
      return [rule.earlier, rule.later];
    case 'not-in-future':
      return [rule.column];
    case 'no-gaps':
      return [rule.column, ...rule.per];
  }
}

/** Tables that the rule's pattern names and that have its columns. That it holds for none is said: it may be misspelt. */
function ruledTables(
  rule: TemporalRule,
  tables: CheckedTable[],
  side: Primary,
  notChecked: NotChecked[],
): CheckedTable[] {
  const ruled = tablesOf(rule.tables, tables).filter((table) => hasColumns(table, columnsOf(rule)));
  if (ruled.length === 0) {
    notChecked.push({
      what: `${rule.kind} of ${rule.tables} on the ${side}`,
      why: `no table of that name is reconciled that has ${columnsOf(rule).join(', ')}`,
    });
  }
  return ruled;
}

async function broken(
  run: CheckRun,
  side: Primary,
  rule: TemporalRule,
  table: CheckedTable,
  settings: AsUsers,
  what: string,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  const session = sessionOf(run, side);
  const finding = (key: string[] | null, count: number): Finding => ({
    kind: 'temporal',
    schema: table.schema,
    table: table.name,
    key,
    columns: columnsOf(rule),
    side,
    count,
    detail: words(rule),
  });
  const ahead = rule.kind === 'not-in-future' ? await clockAhead(run, session) : 0;
  const parts = new Parts(run, session, () => cutOf(session, rule, table), settings);
  let looks = 0;
  const look = async (): Promise<RowsFound> => {
    looks += 1;
    const found = await parts.rows(async (part) =>
      rowsFound(await session.rows<KeyedRow>(statementOf(rule, table, ahead, part)), (key) => finding(key, 1)),
    );
    // Numbers are taken in one order and committed in another: a gap counts when whoever may fill it has ended.
    if (looks === 1 && found.total > 0 && rule.kind === 'no-gaps' && !(await openOnesEnded(run))) {
      const why = `transactions that may fill gaps were open for longer than ${OPEN_MS / 1_000} s`;
      notChecked.push({ what, why });
      return { named: new Map(), total: 0 };
    }
    return found;
  };
  return findingsOf(await settledRows(run, side, what, notChecked, look), (count) => finding(null, count));
}

function words(rule: TemporalRule): string {
  switch (rule.kind) {
    case 'order':
      return `${rule.later} is before ${rule.earlier}`;
    case 'not-in-future':
      return `${rule.column} is in the future`;
    case 'no-gaps':
      return `numbers are missing before this ${rule.column}${rule.per.length === 0 ? '' : ` of its ${rule.per.join(', ')}`}`;
  }
}

/** Events of one sequence stay together; one that is the whole table can't be cut. */
async function cutOf(session: Session, rule: TemporalRule, table: CheckedTable): Promise<Cut | null> {
  if (rule.kind !== 'no-gaps') return byKey(session, table);
  return rule.per.length === 0 ? null : byHash(rule.per.map((name) => `r.${identifier(name)}`));
}

/** Rows of a part that break the rule, the first of them with their keys, each with the count of all. */
function statementOf(rule: TemporalRule, table: CheckedTable, aheadMs: number, part: string): string {
  const column = (name: string): string => `r.${identifier(name)}`;
  const select = `select ${keyAsText(table)} as key, count(*) over () as total`;
  const end = `order by ${keyOrder(table)} limit ${NAMED_ROWS}`;
  switch (rule.kind) {
    case 'order':
      return `${select} from ${rowsOf(table)} r where ${part} and ${column(rule.later)} < ${column(rule.earlier)} ${end}`;
    case 'not-in-future': {
      const limit = `statement_timestamp() + interval '${rule.tolerance + aheadMs} milliseconds'`;
      return `${select} from ${rowsOf(table)} r where ${part} and ${column(rule.column)} > ${limit} ${end}`;
    }
    case 'no-gaps': {
      const per = rule.per.length === 0 ? '' : `partition by ${rule.per.map(column).join(', ')}`;
      const before = `lag(${column(rule.column)}) over (${per} order by ${column(rule.column)})`;
      return `${select} from (select r.*, ${column(rule.column)} - ${before} as "godwit step" from ${rowsOf(table)} r where ${part}) r
        where "godwit step" > 1 ${end}`;
    }
  }
}

/**
 * How far the primary's clock may be ahead of this server's: what was stamped there a moment ago isn't in the future here.
 * In milliseconds, with what the asking took.
 */
async function clockAhead(run: CheckRun, session: Session): Promise<number> {
  const primary = primaryOf(run);
  if (session === primary) return 0;
  const now = async (asked: Session): Promise<number> =>
    (await asked.row<{ now: number }>('select extract(epoch from clock_timestamp())::float8 * 1000 as now'))?.now ?? 0;
  const here = await now(session);
  const there = await now(primary);
  return Math.max(0, Math.ceil(there - here));
}

/**
 * Waits until every transaction of the primary that is open now has ended. Virtual transactions, since one that has taken a
 * number from a sequence may have written nothing yet.
 */
async function openOnesEnded(run: CheckRun): Promise<boolean> {
  const primary = primaryOf(run);
  const open = async (among: string[] | null): Promise<string[]> =>
    (
      await primary.rows<{ id: string }>(
        `select l.virtualxid as id from pg_catalog.pg_locks l
         join pg_catalog.pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'virtualxid' and l.granted and l.pid <> pg_backend_pid()
           and a.datname = current_database() and a.backend_type = 'client backend'
           and ($1::text[] is null or l.virtualxid = any ($1))`,
        [among],
      )
    ).map(({ id }) => id);
  let still = await open(null);
  const until = performance.now() + OPEN_MS;
  while (still.length > 0) {
    if (performance.now() > until) return false;
    await sleep(LOOK_EVERY_MS, undefined, { signal: run.signal });
    still = await open(still);
  }
  return true;
}
