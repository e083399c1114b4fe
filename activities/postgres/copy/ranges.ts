/** Ranges of a scope as `godwit.copy_range` on the target keeps them. */
import { failure } from '../../failure.js';
import type { Session } from '../session.js';
import type { TableName } from '../statements.js';
import type { CopyRange } from './plan.js';
import type { Copied } from './rows.js';

export interface StoredRange extends CopyRange, Copied {
  table: TableName;
  state: 'planned' | 'done';
}

export async function storedRanges(target: Session, key: string): Promise<StoredRange[]> {
  const rows = await target.rows<RangeRow & { rows: string; bytes: string; state: StoredRange['state'] }>(
    'select * from godwit.copy_range where scope = $1 order by schema_name, table_name, seq',
    [key],
  );
  return rows.map((row) => ({
    ...rangeOf(row),
    table: { schema: row.schema_name, name: row.table_name },
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    state: row.state,
  }));
}

/** Those that nobody has copied, by their size. */
export async function plannedRanges(target: Session, key: string): Promise<{ estimate: number }[]> {
  const rows = await target.rows<{ estimate: string }>(
    `select estimate from godwit.copy_range where scope = $1 and state = 'planned'`,
    [key],
  );
  return rows.map(({ estimate }) => ({ estimate: Number(estimate) }));
}

/**
 * The next range that nobody works on, kept from others until the transaction ends; null when there is none. The biggest
 * table first: begun last, it would leave all other hands idle.
 * Fails with `AuthorityLost` unless this group is still the live one: rows of an older snapshot must not join it.
 */
export async function takeRange(
  target: Session,
  key: string,
  group: number,
): Promise<(CopyRange & { table: TableName }) | null> {
  const live = await target.row(
    `select from godwit.copy_group where scope = $1 and seq = $2 and state = 'live' for share`,
    [key, group],
  );
  if (live === undefined) {
    throw failure('Blocked', 'the snapshot of this copy was given up', 'The copy goes on out of another one');
  }
  const row = await target.row<RangeRow>(
    `select * from godwit.copy_range where scope = $1 and state = 'planned'
     order by priority desc, schema_name, table_name, seq limit 1 for update skip locked`,
    [key],
  );
  return row === undefined ? null : { ...rangeOf(row), table: { schema: row.schema_name, name: row.table_name } };
}

interface RangeRow {
  schema_name: string;
  table_name: string;
  seq: number;
  kind: CopyRange['kind'];
  lo: string | null;
  hi: string | null;
  estimate: string;
  [column: string]: unknown;
}

const rangeOf = (row: RangeRow): CopyRange => ({
  seq: row.seq,
  kind: row.kind,
  lo: row.lo === null ? null : BigInt(row.lo),
  hi: row.hi === null ? null : BigInt(row.hi),
  estimate: Number(row.estimate),
});

/** Replaces the plan of one table. */
export async function storePlan(
  target: Session,
  key: string,
  table: TableName & { bytes: number },
  ranges: CopyRange[],
): Promise<void> {
  const rows = ranges.map((range) => ({
    ...range,
    lo: range.lo?.toString() ?? null,
    hi: range.hi?.toString() ?? null,
  }));
  await target.run('delete from godwit.copy_range where scope = $1 and schema_name = $2 and table_name = $3', [
    key,
    table.schema,
    table.name,
  ]);
  await target.run(
    `insert into godwit.copy_range (scope, schema_name, table_name, priority, seq, kind, lo, hi, estimate)
     select $1, $2, $3, $5, r.* from json_to_recordset($4::json)
       as r(seq int, kind text, lo bigint, hi bigint, estimate bigint)`,
    [key, table.schema, table.name, JSON.stringify(rows), table.bytes],
  );
}

/** In the transaction that copied its rows. */
export async function finishRange(
  target: Session,
  key: string,
  table: TableName,
  seq: number,
  copied: Copied,
): Promise<void> {
  await target.run(
    `update godwit.copy_range set state = 'done', rows = $5, bytes = $6
     where scope = $1 and schema_name = $2 and table_name = $3 and seq = $4`,
    [key, table.schema, table.name, seq, copied.rows, copied.bytes],
  );
}

/** In the transaction that removed their rows. */
export async function reopenRanges(target: Session, key: string, table: TableName, seqs: number[]): Promise<void> {
  await target.run(
    `update godwit.copy_range set state = 'planned', rows = 0, bytes = 0
     where scope = $1 and schema_name = $2 and table_name = $3 and seq = any($4::int[])`,
    [key, table.schema, table.name, seqs],
  );
}
