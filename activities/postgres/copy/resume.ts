/**
 * What an interrupted copy left is compared with the new snapshot, range by range, and kept where it is equal. Its own
 * snapshot is gone, and nothing applies yet, so a range is equal or it isn't: no locks, no luck.
 */
import { sqlState } from '../errors.js';
import type { Session } from '../session.js';
import { filteredRows } from '../row-filter.js';
import { identifier, qualified } from '../statements.js';
import { planRanges, type CopyTable } from './plan.js';
import { reopenRanges, storePlan, type StoredRange } from './ranges.js';

/** Rows of one bucket: how many, and the sum of their 64-bit hashes. */
interface Digest extends Record<string, unknown> {
  bucket: number;
  rows: string;
  hash: string;
}

/**
 * The whole row's text is hashed, key included, so that values swapped between rows show. The text of every type is exact
 * with the settings of our sessions, and the same on any version.
 */
function digestSql(table: CopyTable, bucket: string): string {
  const columns = table.columns.map(identifier).join(', ');
  return `select ${bucket} as bucket, count(*) as rows, coalesce(sum(hashtextextended(row(${columns})::text collate "C", 0)), 0)::text as hash
          from ${filteredRows(table, table.rowFilter)} as r group by 1`;
}

/** Makes one table's ranges and rows on the target fit the snapshot. Answers how many finished ranges were kept. */
export async function reconcileTable(
  reader: Session,
  writer: Session,
  key: string,
  table: CopyTable,
  stored: StoredRange[],
  rangeSize: number,
): Promise<number> {
  const byKey = stored.every((range) => range.kind === 'key') && table.keyColumn !== null;
  const finished = stored.filter((range) => range.state === 'done');
  if (byKey && finished.length > 0) return reconcileByKey(reader, writer, key, table, stored);
  const whole = stored.length > 0 && finished.length === stored.length;
  if (whole && (await isEqual(reader, writer, table))) return stored.length;

  const ranges = await planRanges(reader, table, rangeSize);
  await writer.transaction(async () => {
    if (finished.length > 0) await removeAll(writer, table);
    await storePlan(writer, key, table, ranges);
  });
  return 0;
}

async function isEqual(reader: Session, writer: Session, table: CopyTable): Promise<boolean> {
  const sql = digestSql(table, '0');
  const [wanted, found] = await Promise.all([reader.row<Digest>(sql), writer.row<Digest>(sql)]);
  return wanted?.rows === found?.rows && wanted?.hash === found?.hash;
}

/** One pass over each side for all ranges at once: the target may have no index on the key yet. */
async function reconcileByKey(
  reader: Session,
  writer: Session,
  key: string,
  table: CopyTable,
  stored: StoredRange[],
): Promise<number> {
  const cuts = stored.flatMap((range) => (range.lo === null ? [] : [range.lo]));
  const column = identifier(table.keyColumn ?? '');
  const bucket = `width_bucket(${column}::bigint, '{${cuts.join(',')}}'::bigint[])`;
  const sql = digestSql(table, bucket);
  const [wanted, found] = await Promise.all([reader.rows<Digest>(sql), writer.rows<Digest>(sql)]);
  const wantedBy = new Map(wanted.map((digest) => [digest.bucket, digest]));
  const foundBy = new Map(found.map((digest) => [digest.bucket, digest]));
  const equal = (seq: number): boolean =>
    wantedBy.get(seq)?.rows === foundBy.get(seq)?.rows && wantedBy.get(seq)?.hash === foundBy.get(seq)?.hash;
  const kept = stored.filter((range) => range.state === 'done' && equal(range.seq));
  const keptSeqs = new Set(kept.map((range) => range.seq));
  const again = stored.filter((range) => !keptSeqs.has(range.seq)).map((range) => range.seq);
  const withRows = again.filter((seq) => foundBy.has(seq));
  await writer.transaction(async () => {
    if (withRows.length > 0) {
      await removeRows(writer, table, `where ${bucket} = any('{${withRows.join(',')}}'::int[])`);
    }
    await reopenRanges(writer, key, table, again);
  });
  return kept.length;
}

/** TRUNCATE gives the space back at once; refused (0A000) while foreign keys of an existing schema point here. */
async function removeAll(writer: Session, table: CopyTable): Promise<void> {
  await writer.run('savepoint truncating');
  try {
    await writer.run(`truncate only ${qualified(table)}`);
  } catch (error) {
    if (sqlState(error) !== '0A000') throw error;
    await writer.run('rollback to savepoint truncating');
    await removeRows(writer, table, '');
  }
}

/**
 * The target's publication lets nobody delete from a table without an identity, and keys come after the rows: FULL for the
 * length of this transaction.
 */
async function removeRows(writer: Session, table: CopyTable, where: string): Promise<void> {
  const identity = await writer.row<{ kind: string; keyed: boolean }>(
    `select c.relreplident::text as kind,
            exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed
     from pg_class c where c.oid = $1::regclass`,
    [qualified(table)],
  );
  const lacks = identity?.kind === 'n' || (identity?.kind === 'd' && !identity.keyed);
  if (lacks) await writer.run(`alter table only ${qualified(table)} replica identity full`);
  await writer.run(`delete from only ${qualified(table)} ${where}`);
  if (lacks) {
    await writer.run(
      `alter table only ${qualified(table)} replica identity ${identity.kind === 'n' ? 'nothing' : 'default'}`,
    );
  }
}
