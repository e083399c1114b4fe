/**
 * The user's own rules. Their SQL runs as they would run it, in a transaction that reads only, in one statement: it is parsed
 * alone (extended protocol), so nothing can follow it. What it answers stays here; findings say how many, and never what.
 */
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { BusinessRule } from '../../../spec/reconciliation.js';
import type { Primary } from '../../../spec/status.js';
import { postgresFailure } from '../../postgres/errors.js';
import type { Session } from '../../postgres/session.js';
import { otherSide } from '../../postgres/sides.js';
import type { Asking, Check, Checked, Finding, NotChecked } from '../findings.js';
import { asUsers, attempted, reading, sessionOf, type AsUsers } from './reading.js';
import { behind, CATCH_UP_MS } from './settled.js';

type Rule<K extends BusinessRule['kind']> = Extract<BusinessRule, { kind: K }>;

const FETCHED_AT_ONCE = 1_000;
/** Answers of `same` are compared in memory. */
const ROWS_COMPARED = 100_000;
const CHARACTERS_COMPARED = 32 * 1024 * 1024;
/** Rounds that a difference has to survive; an answer that changes faster than it can be asked twice is no finding. */
const ROUNDS = 3;

/** OIDs of int8, int2, int4, float4, float8, numeric: the same on every server. */
const NUMBERS = [20, 21, 23, 700, 701, 1700];

export const business: Check = async (run) => {
  const findings: Finding[] = [];
  const notChecked: NotChecked[] = [];
  if (run.normal.checks.business.length === 0) return { findings, notChecked };
  const given = await givenToUsers(run);
  for (const rule of run.normal.checks.business) {
    const asked = await askRule(run, rule, given);
    findings.push(...asked.findings);
    notChecked.push(...asked.notChecked);
  }
  return { findings, notChecked };
};

/** Settings with which rules are asked, by side. */
export async function givenToUsers(run: Asking): Promise<Record<Primary, AsUsers>> {
  const searchPath = async (side: Primary): Promise<AsUsers> => ({ searchPath: (await asUsers(run, side)).searchPath });
  return { source: await searchPath('source'), target: await searchPath('target') };
}

/** One rule, on all sides that it is about. Throws when a connection is lost, or the run is to stop. */
export async function askRule(run: Asking, rule: BusinessRule, given: Record<Primary, AsUsers>): Promise<Checked> {
  const notChecked: NotChecked[] = [];
  const found = await attempted(run, `rule ${rule.name}`, notChecked, () => broken(run, rule, given, notChecked));
  return { findings: found ?? [], notChecked };
}

async function broken(
  run: Asking,
  rule: BusinessRule,
  given: Record<Primary, AsUsers>,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  if (rule.kind === 'same') return differing(run, rule, given, notChecked);
  const findings: Finding[] = [];
  for (const side of rule.on) {
    const what = `rule ${rule.name} on the ${side}`;
    const look = (): Promise<Finding | null> =>
      rule.kind === 'no-rows'
        ? rowsThatShouldNotBe(run, side, rule, given[side])
        : numberOutOfBounds(run, side, rule, given[side], notChecked);
    const found = await attempted(run, what, notChecked, () => settled(run, side, what, notChecked, look));
    if (found !== null) findings.push(found);
  }
  return findings;
}

/** What breaks on the standby counts when it still does once all until then is applied. */
async function settled(
  run: Asking,
  side: Primary,
  what: string,
  notChecked: NotChecked[],
  look: () => Promise<Finding | null>,
): Promise<Finding | null> {
  const found = await look();
  if (found === null || side === run.primary) return found;
  if (await run.caughtUp(CATCH_UP_MS)) return look();
  notChecked.push(behind(what));
  return null;
}

const finding = (rule: BusinessRule, side: Primary | null, count: number, what: string): Finding => ({
  kind: 'business',
  schema: '',
  table: '',
  key: null,
  columns: null,
  side,
  count,
  detail: `rule ${rule.name}: ${what}`,
  ...(rule.severity === null ? {} : { severity: rule.severity }),
});

// ── their SQL ──

const cursorOver = (sql: string): string => `declare rule no scroll cursor for\n${sql}`;

/** Opens cursor `rule` over one SELECT, VALUES or WITH. For `reading`. */
const open = (session: Session, sql: string): Promise<void> => runAlone(session, cursorOver(sql));

/** Has the server parse and plan it with the rights it would run with, and read no row. In a transaction that reads only. */
export const explain = (session: Session, sql: string): Promise<void> =>
  runAlone(session, `explain ${cursorOver(sql)}`);

async function runAlone(session: Session, text: string): Promise<void> {
  const name = `godwit_${randomUUID()}`;
  try {
    // A named statement is parsed alone: two of them are refused (42601).
    await session.raw.query({ name, text });
  } catch (error) {
    throw postgresFailure(error, `run a statement on the ${session.side}`);
  }
  await session.run(`deallocate "${name}"`);
}

async function fetch(
  session: Session,
  rows: number,
): Promise<{ rows: (string | null)[][]; columns: { name: string; isNumber: boolean }[] }> {
  try {
    const answer = await session.raw.query<(string | null)[]>({
      text: `fetch ${rows} from rule`,
      rowMode: 'array',
      types: { getTypeParser: () => (value: string) => value },
    });
    const columns = answer.fields.map(({ name, dataTypeID }) => ({ name, isNumber: NUMBERS.includes(dataTypeID) }));
    return { rows: answer.rows, columns };
  } catch (error) {
    throw whileItRan(error, session);
  }
}

/** While rows are read, any message may quote one: a function of theirs may have made a statement of it. */
function whileItRan(error: unknown, session: Session): Error {
  const failed = postgresFailure(error, `run a statement on the ${session.side}`);
  return ApplicationFailure.create({
    message: failed.message.replace(/"[^]*"/g, '"…"'),
    type: failed.type ?? 'Unexpected',
    nonRetryable: failed.nonRetryable ?? false,
    details: failed.details ?? [],
  });
}

// ── no-rows ──

async function rowsThatShouldNotBe(
  run: Asking,
  side: Primary,
  rule: Rule<'no-rows'>,
  given: AsUsers,
): Promise<Finding | null> {
  const session = sessionOf(run, side);
  const count = await reading(
    run,
    session,
    async () => {
      await open(session, rule.sql);
      // Counts them on the server: none of them travels.
      try {
        return await session.run('move forward all in rule');
      } catch (error) {
        throw whileItRan(error, session);
      }
    },
    given,
  );
  if (count === 0) return null;
  return finding(rule, side, count, `${count === 1 ? '1 row' : `${count} rows`} on the ${side}, where none should be`);
}

// ── within ──

async function numberOutOfBounds(
  run: Asking,
  side: Primary,
  rule: Rule<'within'>,
  given: AsUsers,
  notChecked: NotChecked[],
): Promise<Finding | null> {
  const session = sessionOf(run, side);
  const answered = await reading(
    run,
    session,
    async () => {
      await open(session, rule.sql);
      const { rows, columns } = await fetch(session, 2);
      const value = rows[0]?.[0] ?? null;
      if (rows.length !== 1 || columns.length !== 1 || value === null || columns[0]?.isNumber !== true) return null;
      return session.row<{ below: boolean; above: boolean }>(
        `select coalesce($1::numeric < $2::numeric, false) as below, coalesce($1::numeric > $3::numeric, false) as above`,
        [value, rule.min, rule.max],
      );
    },
    given,
  );
  if (answered == null) {
    notChecked.push({
      what: `rule ${rule.name} on the ${side}`,
      why: 'it does not answer one number, which may not be null',
    });
    return null;
  }
  if (answered.below) return finding(rule, side, 1, `below ${rule.min ?? ''} on the ${side}`);
  if (answered.above) return finding(rule, side, 1, `above ${rule.max ?? ''} on the ${side}`);
  return null;
}

// ── same ──

interface Answer {
  rows: (string | null)[][];
  columns: { name: string; isNumber: boolean }[];
}

/**
 * Round after round the primary is asked, then the standby that has applied all until then, then the primary again. Only what
 * differs from both answers of the primary, while these are the same, differs.
 */
async function differing(
  run: Asking,
  rule: Rule<'same'>,
  given: Record<Primary, AsUsers>,
  notChecked: NotChecked[],
): Promise<Finding[]> {
  const what = `rule ${rule.name}`;
  const standby = otherSide(run.primary);
  const ask = (side: Primary): Promise<Answer | null> => wholeAnswer(run, side, rule.sql[side], given[side]);
  let moving = false;
  let found: Difference | null = null;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const before = await ask(run.primary);
    if (!(await run.caughtUp(CATCH_UP_MS))) {
      notChecked.push(behind(what));
      return [];
    }
    const there = await ask(standby);
    if (before === null || there === null) {
      const limit = `${ROWS_COMPARED} rows or ${CHARACTERS_COMPARED / 1024 / 1024} MB`;
      notChecked.push({ what, why: `it answers more than ${limit}; compare aggregates instead` });
      return [];
    }
    const difference = await differenceOf(run, before, there, rule.tolerance);
    if (difference === null) return [];
    const after = await ask(run.primary);
    if (after === null || (await differenceOf(run, after, there, rule.tolerance)) === null) return [];
    moving = (await differenceOf(run, before, after, rule.tolerance)) !== null;
    if (!moving) found = difference;
  }
  if (moving || found === null) {
    notChecked.push({ what, why: 'its answer on the primary changes faster than it can be asked twice' });
    return [];
  }
  return [finding(rule, null, found.rows, found.what)];
}

/** Null: too much. */
async function wholeAnswer(run: Asking, side: Primary, sql: string, given: AsUsers): Promise<Answer | null> {
  const session = sessionOf(run, side);
  return reading(
    run,
    session,
    async () => {
      await open(session, sql);
      const answer: Answer = { rows: [], columns: [] };
      let characters = 0;
      for (;;) {
        run.signal.throwIfAborted();
        const { rows, columns } = await fetch(session, FETCHED_AT_ONCE);
        answer.columns = columns;
        if (rows.length === 0) return answer;
        for (const row of rows) {
          answer.rows.push(row);
          for (const value of row) characters += value?.length ?? 0;
        }
        if (answer.rows.length > ROWS_COMPARED || characters > CHARACTERS_COMPARED) return null;
      }
    },
    given,
  );
}

interface Difference {
  rows: number;
  what: string;
}

/** Null: the same, row by row, numbers within the tolerance. */
async function differenceOf(run: Asking, one: Answer, other: Answer, tolerance: number): Promise<Difference | null> {
  if (one.columns.length !== other.columns.length) {
    return { rows: 1, what: `${one.columns.length} columns on one side, ${other.columns.length} on the other` };
  }
  const differing = new Map<number, string>();
  const numbers: { row: number; column: string; one: string; other: string }[] = [];
  const common = Math.min(one.rows.length, other.rows.length);
  for (let row = 0; row < common; row += 1) {
    for (const [index, column] of one.columns.entries()) {
      const [mine, theirs] = [one.rows[row]?.[index] ?? null, other.rows[row]?.[index] ?? null];
      if (mine === theirs) continue;
      if (column.isNumber && other.columns[index]?.isNumber && isFinite(mine) && isFinite(theirs)) {
        numbers.push({ row, column: column.name, one: mine, other: theirs });
      } else {
        differing.set(row, differing.get(row) ?? column.name);
      }
    }
  }
  for (const { row, column } of await furtherApart(run.source, numbers, tolerance)) {
    differing.set(row, differing.get(row) ?? column);
  }
  const rows = differing.size + Math.abs(one.rows.length - other.rows.length);
  if (rows === 0) return null;
  const first = Math.min(...differing.keys(), common);
  const where = differing.has(first) ? ` in column ${differing.get(first) ?? ''}` : '';
  const counts =
    one.rows.length === other.rows.length ? `of ${one.rows.length}` : `of ${one.rows.length} and ${other.rows.length}`;
  return { rows, what: `${rows} rows ${counts} differ, the first is row ${first + 1}${where}` };
}

const isFinite = (value: string | null): value is string => value !== null && /^[-+0-9.eE]+$/.test(value);

/** Exactly, by Postgres: doubles would call two large numbers the same. */
async function furtherApart<P extends { one: string; other: string }>(
  session: Session,
  pairs: P[],
  tolerance: number,
): Promise<P[]> {
  if (pairs.length === 0) return [];
  const found = await session.rows<{ n: string }>(
    `select p.n from unnest($1::numeric[], $2::numeric[]) with ordinality as p(one, other, n)
     where abs(p.one - p.other) > $3::numeric order by p.n`,
    [pairs.map(({ one }) => one), pairs.map(({ other }) => other), tolerance],
  );
  return found.flatMap(({ n }) => pairs.slice(Number(n) - 1, Number(n)));
}
