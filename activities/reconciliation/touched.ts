/** Rows that may have changed since a run that compared them: only these are compared again. */
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import type { Session } from '../postgres/session.js';
import { bothOver } from '../postgres/sides.js';
import { identifier, literal, nameOf, type TableName } from '../postgres/statements.js';
import { unequalWritten } from '../postgres/validation/buckets.js';
import { statementsOn, type ComparedTable, type Key, type Within } from '../postgres/validation/compared-table.js';
import { bothRead, differing, isTimeout, rowsIn, type Candidates } from '../postgres/validation/differing.js';
import type { Lane } from '../postgres/validation/lanes.js';
import { watermarkOf, writtenSince } from '../postgres/validation/watermark.js';

const KEYS_AT_ONCE = 10_000;

/**
 * - `xmin`: rows whose newest version was written by a transaction that was not over at the watermark: every change that left a
 *   row, on either side
 * - `column`: rows whose time of the last change is later: what the application says
 * - `changes`: keys that the change streams of both sides name, deletions too, but for those of `alike` rows, which both left the same
 */
export type Since =
  | { kind: 'xmin'; from: Record<Primary, string>; open: Key[] }
  | { kind: 'column'; column: string; after: string; open: Key[] }
  | { kind: 'changes'; keys: Key[]; open: Key[]; alike: number; readMs: Milliseconds };

/** Rows that are known without a look at any; null: some are to be looked at. */
export function knownAlready(since: Since | null): number | null {
  if (since?.kind !== 'changes') return null;
  return since.keys.length + since.open.length === 0 ? since.alike : null;
}

/** The same row by its hash, in buckets: so many that telling of them costs nothing, and as many as a statement groups at no cost. */
const COARSE = 1_023;
const FINE = 65_535;
/** Keys whose rows are compared as one sum; of a sum that differs they are compared one by one. */
const KEYS_OF_A_SUM = 64;

/**
 * Compares what was touched. `candidates` gets keys whose rows differed between two reads at nearly one time, in portions, and
 * answers whether to go on. Answers how many rows were looked at.
 */
export async function compareTouched(
  lane: Lane,
  table: ComparedTable,
  since: Since,
  candidates: Candidates,
): Promise<number> {
  if (since.kind === 'changes') {
    return since.alike + (await compareKeys(lane, table, [...since.open, ...since.keys], candidates));
  }
  // rows that are read in one statement are no small bite
  const small = lane.pace.gentle;
  if (since.kind === 'xmin' && small) return compareWritten(lane, table, since, candidates);
  try {
    return await compareNamed(lane, table, since, candidates, small);
  } catch (error) {
    lane.signal.throwIfAborted();
    if (since.kind !== 'xmin' || !isTimeout(error)) throw error;
    return compareWritten(lane, table, since, candidates);
  }
}

/** Rows that a condition names, by their sums; or, since an index finds them, key by key. */
async function compareNamed(
  lane: Lane,
  table: ComparedTable,
  since: Exclude<Since, { kind: 'changes' }>,
  candidates: Candidates,
  byKey: boolean,
): Promise<number> {
  const { primary, standby } = lane.readers;
  const [here, there] = [conditionOf(primary, since), conditionOf(standby, since)];
  const sums = byKey ? null : await differingSums(lane, table, [here, there]);
  const named =
    sums?.within.buckets.length === 0
      ? []
      : await bothRead(lane, table, lengthOf, (session) =>
          statementsOn(table, session).keysWhere(session, session === primary ? here : there, sums?.within),
        );
  const read = await compareKeys(lane, table, [...since.open, ...named.flat()], candidates);
  return sums === null ? read : sums.rows + since.open.length;
}

/** In as many parts as it takes: no index finds what was written since, so that the whole table is looked at. */
async function compareWritten(
  lane: Lane,
  table: ComparedTable,
  { from, open }: Extract<Since, { kind: 'xmin' }>,
  candidates: Candidates,
): Promise<number> {
  const { primary, standby } = lane.readers;
  const { keys, rows } = await unequalWritten(lane, table, [
    from[primary.side as Primary],
    from[standby.side as Primary],
  ]);
  if (keys.length > 0 && !(await candidates(keys))) return rows;
  return rows + (await compareKeys(lane, table, open, candidates));
}

/** Of all rows that a condition on each side names: a row that one side alone names differs, too. */
async function differingSums(
  lane: Lane,
  table: ComparedTable,
  conditions: [string, string],
): Promise<{ rows: number; within: Within }> {
  const coarse = await sumsWithin(lane, table, conditions, COARSE);
  const within = { mask: COARSE, buckets: coarse.buckets };
  if (coarse.inDiffering <= KEYS_AT_ONCE) return { rows: coarse.rows, within };
  const { buckets } = await sumsWithin(lane, table, conditions, FINE, within);
  return { rows: coarse.rows, within: { mask: FINE, buckets } };
}

async function sumsWithin(
  lane: Lane,
  table: ComparedTable,
  [here, there]: [string, string],
  mask: number,
  within?: Within,
): Promise<{ rows: number; inDiffering: number; buckets: string[] }> {
  const { primary } = lane.readers;
  const read = await bothRead(lane, table, rowsIn, (session) =>
    statementsOn(table, session).passWhere(session, mask, session === primary ? here : there, within),
  );
  const found = differing(...read);
  let [inDiffering, onOneSideAlone] = [0, 0];
  for (const { bucket, rows } of found.differing) {
    inDiffering += rows;
    onOneSideAlone += rows - (read[0].get(bucket)?.count ?? 0);
  }
  return { rows: found.rows + onOneSideAlone, inDiffering, buckets: found.differing.map(({ bucket }) => bucket) };
}

const lengthOf = ({ length }: unknown[]): number => length;

/** Each key once, those that an earlier run left different first. */
async function compareKeys(lane: Lane, table: ComparedTable, named: Key[], candidates: Candidates): Promise<number> {
  const keys = [...new Map(named.map((key) => [JSON.stringify(key), key])).values()];
  for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
    const portion = keys.slice(start, start + KEYS_AT_ONCE);
    const sums = differing(
      ...(await bothRead(lane, table, rowsIn, (session) =>
        statementsOn(table, session).passKeys(session, portion, KEYS_OF_A_SUM),
      )),
    );
    const open = sums.differing.flatMap(({ bucket }) => {
      const first = Number(bucket) * KEYS_OF_A_SUM;
      return portion.slice(first, first + KEYS_OF_A_SUM);
    });
    if (open.length === 0) continue;
    const [here, there] = await bothRead(lane, table, lengthOf, (session) =>
      statementsOn(table, session).read(session, open),
    );
    const unequal = open.filter((_, index) => here[index]?.signature !== there[index]?.signature);
    if (unequal.length > 0 && !(await candidates(unequal))) break;
  }
  return keys.length;
}

/** Which rows were written since, by what one side knows. */
function conditionOf(session: Session, since: Exclude<Since, { kind: 'changes' }>): string {
  return since.kind === 'column'
    ? `r.${identifier(since.column)} > ${literal(since.after)}`
    : writtenSince(since.from[session.side as Primary]);
}

export interface Watermarks {
  /** Of rows written from now on. */
  xmin: Record<Primary, string>;
  /** By the primary's clock: no transaction that is open now began before it. */
  at: string;
}

/** To be asked before anything is read. */
export async function watermarksNow(primary: Session, standby: Session): Promise<Watermarks> {
  const oldest = await primary.row<{ at: string }>(
    `select least(clock_timestamp(), min(xact_start), (select min(prepared) from pg_prepared_xacts))::text as at
     from pg_stat_activity where datname = current_database()`,
  );
  const [here, there] = await bothOver(watermarkOf(primary), watermarkOf(standby));
  return {
    xmin: primary.side === 'source' ? { source: here, target: there } : { source: there, target: here },
    at: oldest?.at ?? '-infinity',
  };
}

interface StoredWatermark extends TableName {
  side: Primary;
  kind: Since['kind'];
  value: string;
  fullAt: string;
}

/** By table, those that both sides have and whose last full run is young enough. */
export async function watermarksOf(
  target: Session,
  reconciliation: string,
  kind: Since['kind'],
  fullEvery: number,
): Promise<Map<string, Record<Primary, string>>> {
  const rows = await target.rows<StoredWatermark & Record<string, unknown>>(
    `select schema_name as schema, table_name as name, side, value from godwit.reconciliation_watermark
     where reconciliation = $1 and kind = $2 and full_at > clock_timestamp() - $3 * interval '1 millisecond'`,
    [reconciliation, kind, fullEvery],
  );
  const found = new Map<string, Partial<Record<Primary, string>>>();
  for (const row of rows) found.set(nameOf(row), { ...found.get(nameOf(row)), [row.side]: row.value });
  const whole = new Map<string, Record<Primary, string>>();
  for (const [name, { source, target: there }] of found) {
    if (source !== undefined && there !== undefined) whole.set(name, { source, target: there });
  }
  return whole;
}

/** All tables are compared whole the next time. */
export async function forgetWatermarks(target: Session, reconciliation: string, kind: Since['kind']): Promise<void> {
  await target.run('delete from godwit.reconciliation_watermark where reconciliation = $1 and kind = $2', [
    reconciliation,
    kind,
  ]);
}

/**
 * `full`: all rows of the table were compared, so its time begins anew; of others only the value moves on. Tables that aren't named
 * were not compared, while streams go on without them: they are compared whole the next time.
 */
export async function keepWatermarks(
  target: Session,
  {
    reconciliation,
    run,
    kind,
    tables,
  }: {
    reconciliation: string;
    run: string;
    kind: Since['kind'];
    tables: (TableName & { full: boolean; values: Record<Primary, string> })[];
  },
): Promise<void> {
  const rowsOf = (full: boolean): string =>
    JSON.stringify(
      tables
        .filter((table) => table.full === full)
        .flatMap(({ schema, name, values }) =>
          (['source', 'target'] as const).map((side) => ({ schema, name, side, value: values[side] })),
        ),
    );
  await target.run(
    `delete from godwit.reconciliation_watermark w where reconciliation = $1 and not exists (
       select from json_to_recordset($2::json) as r(schema text, name text)
       where r.schema = w.schema_name and r.name = w.table_name)`,
    [reconciliation, JSON.stringify(tables)],
  );
  await target.run(
    `insert into godwit.reconciliation_watermark
       (reconciliation, schema_name, table_name, side, kind, value, full_run, full_at)
     select $1, r.schema, r.name, r.side, $2, r.value, $3, clock_timestamp()
     from json_to_recordset($4::json) as r(schema text, name text, side text, value text)
     on conflict (reconciliation, schema_name, table_name, side) do update
       set kind = excluded.kind, value = excluded.value, full_run = excluded.full_run, full_at = excluded.full_at`,
    [reconciliation, kind, run, rowsOf(true)],
  );
  await target.run(
    `update godwit.reconciliation_watermark w set value = r.value
     from json_to_recordset($3::json) as r(schema text, name text, side text, value text)
     where w.reconciliation = $1 and w.kind = $2
       and w.schema_name = r.schema and w.table_name = r.name and w.side = r.side`,
    [reconciliation, kind, rowsOf(false)],
  );
}
