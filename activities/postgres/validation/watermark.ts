/**
 * Which rows were written since a moment: those whose version a transaction wrote that was not over then. Each side tells of its own
 * transactions only. A version's page says nothing of its age, and its transaction does.
 */
import type { Session } from '../session.js';
import { qualified, statement, type TableName } from '../statements.js';

const GROUND = statement(import.meta.url, '../sql/validation/ground.sql');

/** Ages are 32 bits with a sign; of what is further apart nothing can be told. */
const FURTHEST = 2_000_000_000;
const EVERY_AGE = 2_147_483_647;

/** The oldest transaction that is not over, counted on beyond 32 bits. */
export async function watermarkOf(session: Session): Promise<string> {
  const row = await session.row<{ xmin: string }>(`select txid_snapshot_xmin(txid_current_snapshot())::text as xmin`);
  return row?.xmin ?? '0';
}

/**
 * A condition on row `r`. Both ages are counted from one transaction, so that writers in between hide nothing; that the newest
 * transaction of a snapshot is over says nothing of the next one to begin. True of all rows where the watermark is too old, or of a
 * later time than the server is. A row that was frozen and is older than 2^31 transactions may look new: more to look at, never less.
 */
export function writtenSince(watermark: string): string {
  const whole = BigInt(watermark);
  return `age(r.xmin) <= (select case
    when txid_snapshot_xmax(txid_current_snapshot()) - ${whole} between 0 and ${FURTHEST} then age('${whole & 0xffff_ffffn}'::xid)
    else ${EVERY_AGE} end)`;
}

/** On what a pass over a table stands. */
export interface Ground {
  /** System identifier and timeline. */
  server: string;
  /** How far it had written or replayed. */
  lsn: string;
  /** VACUUM FULL and CLUSTER move all rows to another one, and leave them as old as they were. */
  file: string;
  watermark: string;
}

export async function groundOf(session: Session, table: TableName): Promise<Ground> {
  const found = await session.row<Ground & Record<string, unknown>>(GROUND, [qualified(table)]);
  if (found === undefined) throw new Error('a query of one row answered none');
  return found;
}

/** Whether what stood on `then` still stands: it's the same history of the same server, no earlier, and the table's rows are where they were. */
export async function holds(session: Session, then: Ground, now: Ground): Promise<boolean> {
  if (then.server !== now.server || then.file !== now.file) return false;
  const found = await session.row<{ later: boolean }>('select $1::pg_lsn >= $2::pg_lsn as later', [now.lsn, then.lsn]);
  return found?.later === true;
}
