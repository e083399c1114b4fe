/** Ranges of a scope as `godwit.copy_range` on the target keeps them. */
import type { Session } from '../session.js';
import type { TableName } from '../statements.js';
import type { CopyRange } from './plan.js';
import type { Copied } from './rows.js';

export interface StoredRange extends CopyRange, Copied {
  table: TableName;
  state: 'planned' | 'done';
}

export async function storedRanges(target: Session, key: string): Promise<StoredRange[]> {
  const rows = await target.rows<{
    schema_name: string;
    table_name: string;
    seq: number;
    kind: CopyRange['kind'];
    lo: string | null;
    hi: string | null;
    estimate: string;
    rows: string;
    bytes: string;
    state: StoredRange['state'];
  }>('select * from godwit.copy_range where scope = $1 order by schema_name, table_name, seq', [key]);
  return rows.map((row) => ({
    table: { schema: row.schema_name, name: row.table_name },
    seq: row.seq,
    kind: row.kind,
    lo: row.lo === null ? null : BigInt(row.lo),
    hi: row.hi === null ? null : BigInt(row.hi),
    estimate: Number(row.estimate),
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    state: row.state,
  }));
}

/** Replaces the plan of one table. */
export async function storePlan(target: Session, key: string, table: TableName, ranges: CopyRange[]): Promise<void> {
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
    `insert into godwit.copy_range (scope, schema_name, table_name, seq, kind, lo, hi, estimate)
     select $1, $2, $3, r.* from json_to_recordset($4::json)
       as r(seq int, kind text, lo bigint, hi bigint, estimate bigint)`,
    [key, table.schema, table.name, JSON.stringify(rows)],
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
