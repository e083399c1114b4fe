/** Empties tables, whoever refers to them. */
import { sqlState } from '../errors.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { qualified } from '../statements.js';

/** For a transaction. TRUNCATE where Postgres lets us, all at once, since they may refer to each other; else DELETE. */
export async function emptyTables(session: Session, tables: ScopeTable[]): Promise<void> {
  const left = (await truncated(session, tables)) ? [] : await truncatedOneByOne(session, tables);
  if (left.length === 0) return;
  // One statement: foreign keys are checked at its end, so tables may refer to each other in a circle.
  const parts = left.map((table, i) => `t${i} as (delete from only ${qualified(table)})`);
  await session.run(`with ${parts.join(', ')} select`);
}

/** False, with nothing changed, when a table that isn't named refers to one of these: Postgres refuses, empty or not. */
async function truncated(session: Session, tables: ScopeTable[]): Promise<boolean> {
  if (tables.length === 0) return true;
  await session.run('savepoint truncating');
  try {
    await session.run(`truncate ${tables.map((table) => `only ${qualified(table)}`).join(', ')}`);
    return true;
  } catch (error) {
    if (sqlState(error) !== '0A000') throw error;
    await session.run('rollback to savepoint truncating');
    return false;
  }
}

/** Answers those that couldn't be. */
async function truncatedOneByOne(session: Session, tables: ScopeTable[]): Promise<ScopeTable[]> {
  const left: ScopeTable[] = [];
  for (const table of tables) if (!(await truncated(session, [table]))) left.push(table);
  return left;
}
