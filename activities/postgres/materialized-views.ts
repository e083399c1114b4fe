/**
 * Materialized views of a side that has just been opened: they show what was there when they were last refreshed, which on
 * that side was the first copy, or the last time that it took the writes. Refreshed after the switch, never within it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { Primary } from '../../spec/status.js';
import { cancellation, heartbeat, stoppable } from '../activity-context.js';
import type { DatabaseMove, RefreshInput, RefreshOutcome } from '../contract.js';
import { readAuthority } from './authority.js';
import { sqlState } from './errors.js';
import { resolveTables, scopeTables, type ScopeTable } from './scope.js';
import { Session } from './session.js';
import { otherSide } from './sides.js';
import { nameOf, qualified, statement, type TableName } from './statements.js';
import { backendOf, cancelledBy } from './validation/cancel.js';

const MATERIALIZED_VIEWS = statement(import.meta.url, './sql/materialized_views.sql');

/** A refresh that waits for readers of its view holds up those who come after it. */
const LOCK_TRY_MS = 2_000;
const LOCK_TRIES = 10;
const BETWEEN_TRIES_MS = 1_000;

export interface MaterializedView extends TableName {
  populated: boolean;
  /** By a unique index, so that it can be refreshed while it is read. */
  identified: boolean;
  owner: string;
  role: string;
  /** Whether `role` may refresh it. */
  permitted: boolean;
}

/** In the order in which they can be refreshed. */
export async function viewsOf(session: Session, tables: TableName[]): Promise<MaterializedView[]> {
  return session.rows<MaterializedView & Record<string, unknown>>(MATERIALIZED_VIEWS, [JSON.stringify(tables)]);
}

/**
 * Refreshes those of `side` that show tables in scope and that are, or were on the other side, populated. Those that can't be are
 * told, and fail nothing. Ends where it is once the writes are no more on this side. Fine to run again, and after an undo.
 */
export async function refreshViews(input: RefreshInput): Promise<RefreshOutcome> {
  return stoppable(() => refreshAll(input));
}

async function refreshAll({ move, side }: RefreshInput): Promise<RefreshOutcome> {
  await using session = await Session.open(side, move.database[side], { purpose: purposeOf(move.key) });
  const tables = await tablesOf(session, move);
  const filled = await populatedThere(move, otherSide(side), tables);
  const backend = await backendOf(session, side);
  const outcome: RefreshOutcome = { refreshed: 0, failed: [] };
  await cancelledBy(cancellation(), move, [backend], async () => {
    for (const view of await viewsOf(session, tables)) {
      cancellation().throwIfAborted();
      heartbeat();
      if (!view.populated && !filled.has(nameOf(view))) continue;
      const row = await readAuthority(session, move.key);
      if (row !== null && row.state !== 'open') return;
      const problem = await refreshed(session, view);
      if (problem === null) outcome.refreshed += 1;
      else outcome.failed.push(`${view.schema}.${view.name}: ${problem}`);
    }
  });
  return outcome;
}

const purposeOf = (key: string): string => `${key} refresh`;

/**
 * Ends refreshes of this scope on one side: TRUNCATE and DROP TRIGGER wait for the locks that they have on its tables. The
 * activity finds out whether it is still wanted when it is tried again.
 */
export async function endRefreshes(session: Session, key: string): Promise<void> {
  await session.rows(
    'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()',
    [`godwit ${purposeOf(key)}`],
  );
}

/** After an undo nothing of the scope is there any more. */
async function tablesOf(session: Session, move: DatabaseMove): Promise<ScopeTable[]> {
  const known = await scopeTables(session, move.key);
  return known.length > 0 ? known : resolveTables(session, move.database.tables);
}

/** Of a side that may be gone: then what is populated here has to do. */
async function populatedThere(move: DatabaseMove, side: Primary, tables: ScopeTable[]): Promise<Set<string>> {
  try {
    await using session = await Session.open(side, move.database[side], { purpose: `${move.key} views` });
    return new Set((await viewsOf(session, tables)).filter(({ populated }) => populated).map(nameOf));
  } catch {
    return new Set();
  }
}

/** Null: it is. Else why not. */
async function refreshed(session: Session, view: MaterializedView): Promise<string | null> {
  if (!view.permitted) {
    return `${view.role} may not refresh it, ${view.owner} owns it: GRANT ${view.owner} TO ${view.role}, or refresh it as its owner`;
  }
  const how = view.populated && view.identified ? 'concurrently ' : '';
  for (let attempt = 1; ; attempt += 1) {
    try {
      await session.run(`set lock_timeout = ${LOCK_TRY_MS}`);
      await session.run(`refresh materialized view ${how}${qualified(view)}`);
      return null;
    } catch (error) {
      cancellation().throwIfAborted();
      if (session.lost || (error instanceof ApplicationFailure && error.type === 'DatabaseUnreachable')) throw error;
      const code = sqlState(error) ?? '';
      if (code !== '55P03') return reasonOf(error, code);
      if (attempt === LOCK_TRIES) return 'its readers, or another refresh, never let go of it';
    }
    await sleep(BETWEEN_TRIES_MS, undefined, { signal: cancellation() });
  }
}

/** 21, 22 and 23 quote values of rows in their message. */
function reasonOf(error: unknown, code: string): string {
  if (/^(21|22|23)/.test(code) || !(error instanceof Error)) return `SQLSTATE ${code}; the server's log says more`;
  return error.message;
}
