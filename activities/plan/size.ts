/** How much there is to move. */
import type { ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';

const SIZE = statement(import.meta.url, './sql/size.sql');

export interface Size {
  /** Rows with TOAST, then indexes, in bytes. */
  bytes: number;
  indexBytes: number;
  /** The planner's guess. */
  rows: number;
  tables: number;
}

export async function readSize(session: Session, tables: ScopeTable[]): Promise<Size> {
  const row = await session.row<{ bytes: number; index_bytes: number; rows: number; tables: number }>(SIZE, [
    tables.map((table) => table.schema),
    tables.map((table) => table.name),
  ]);
  return {
    bytes: row?.bytes ?? 0,
    indexBytes: row?.index_bytes ?? 0,
    rows: row?.rows ?? 0,
    tables: row?.tables ?? 0,
  };
}
