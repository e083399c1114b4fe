/** Rows that may have changed since a run that compared them: only these are compared again. */
import type { Primary } from '../../spec/status.js';
import type { Session } from '../postgres/session.js';
import { identifier, literal, nameOf, type TableName } from '../postgres/statements.js';
import { statementsOn, type ComparedTable, type Key } from '../postgres/validation/compared-table.js';
import type { Lane } from '../postgres/validation/lanes.js';

const KEYS_AT_ONCE = 10_000;

/**
 * - `xmin`: rows whose newest version was written by a transaction that was not over at the watermark: every change that left a
 *   row, on either side
 * - `column`: rows whose time of the last change is later: what the application says
 * - `changes`: keys that the change streams of both sides name: deletions, too
 */
export type Since =
  | { kind: 'xmin'; from: Record<Primary, string>; open: Key[] }
  | { kind: 'column'; column: string; after: string; open: Key[] }
  | { kind: 'changes'; keys: Key[]; open: Key[] };

/** Each key once, in portions; first those that an earlier run left different. */
export async function* touchedKeys(lane: Lane, table: ComparedTable, since: Since): AsyncGenerator<Key[]> {
  const seen = new Set<string>();
  const fresh = (keys: Key[]): Key[] =>
    keys.filter((key) => {
      const text = JSON.stringify(key);
      if (seen.has(text)) return false;
      seen.add(text);
      return true;
    });
  const { primary, standby } = lane.readers;
  const [here, there] =
    since.kind === 'changes'
      ? [since.keys, []]
      : await Promise.all([keysOf(primary, table, since), keysOf(standby, table, since)]);
  const all = fresh([...since.open, ...here, ...there]);
  for (let start = 0; start < all.length; start += KEYS_AT_ONCE) yield all.slice(start, start + KEYS_AT_ONCE);
}

async function keysOf(
  session: Session,
  table: ComparedTable,
  since: Exclude<Since, { kind: 'changes' }>,
): Promise<Key[]> {
  const statements = statementsOn(table, session);
  if (since.kind === 'column') {
    return statements.keysWhere(session, `r.${identifier(since.column)} > ${literal(since.after)}`);
  }
  const found = await session.row<{ transactions: string }>(
    `select (txid_snapshot_xmax(txid_current_snapshot()) - $1::bigint)::text as transactions`,
    [since.from[session.side as Primary]],
  );
  return statements.keysWhere(session, `age(r.xmin) <= ${BigInt(found?.transactions ?? '0')}`);
}

export interface Watermarks {
  /** Of rows written from now on. */
  xmin: Record<Primary, string>;
  /** By the primary's clock: no transaction that is open now began before it. */
  at: string;
}

/** To be asked before anything is read. */
export async function watermarksNow(primary: Session, standby: Session): Promise<Watermarks> {
  const xminOf = async (session: Session): Promise<string> => {
    const row = await session.row<{ xmin: string }>(`select txid_snapshot_xmin(txid_current_snapshot())::text as xmin`);
    return row?.xmin ?? '0';
  };
  const oldest = await primary.row<{ at: string }>(
    `select least(clock_timestamp(), min(xact_start), (select min(prepared) from pg_prepared_xacts))::text as at
     from pg_stat_activity where datname = current_database()`,
  );
  const [here, there] = [await xminOf(primary), await xminOf(standby)];
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
    values,
    tables,
  }: {
    reconciliation: string;
    run: string;
    kind: Since['kind'];
    values: Record<Primary, string>;
    tables: (TableName & { full: boolean })[];
  },
): Promise<void> {
  const rowsOf = (full: boolean): string =>
    JSON.stringify(
      tables
        .filter((table) => table.full === full)
        .flatMap(({ schema, name }) =>
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
