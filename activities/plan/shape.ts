/** The shape of the tables in scope: what two sides are compared by, and what a plan is bound to. */
import { createHash } from 'node:crypto';
import type { ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';

const SHAPE = statement(import.meta.url, './sql/shape.sql');

export interface ShapeLine {
  table: string;
  kind: string;
  /** Of a column; constraints go by their definition. */
  name: string;
  definition: string;
  not_null: boolean;
  /** Whether an INSERT may leave the column out. */
  fillable: boolean;
}

export async function readShape(session: Session, tables: ScopeTable[]): Promise<ShapeLine[]> {
  return session.rows<ShapeLine>(SHAPE, [tables.map((table) => table.schema), tables.map((table) => table.name)]);
}

/** sha256 over names, columns, types and constraints, in hex. The same for the same tables, wherever they are. */
export function signatureOf(shape: ShapeLine[]): string {
  const lines = shape.map((line) => JSON.stringify([line.table, line.kind, line.name, line.definition, line.not_null]));
  // Sorted here, since servers sort by the collations of their databases.
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}
