/**
 * Unlogged tables. Their rows are in no WAL, so neither replication nor a first copy can carry them: each switch empties the
 * new side's tables and, where asked to, fills them with the rows of the old side, between fence and cede, while nobody
 * writes on either. Whatever becomes of an attempt, the old side's rows are only read.
 *
 * If this were wrong, rows of a table that nothing else compares would be lost in silence.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove } from '../contract.js';
import { failure } from '../failure.js';
import { faultPoint } from '../fault.js';
import { otherSide, type Attempt } from './authority.js';
import { blockersOf } from './blockers.js';
import { describeTables, type CopyTable } from './copy/plan.js';
import { RateLimit } from './copy/rate.js';
import { copyRange } from './copy/rows.js';
import { requireNoTriggers } from './copy/sessions.js';
import { sqlState } from './errors.js';
import { replaceFence } from './fence.js';
import { endRefreshes } from './materialized-views.js';
import { emptyTables } from './schema/empty.js';
import type { ScopeTable } from './scope.js';
import { Session } from './session.js';
import type { Sides } from './sides.js';
import { literal, type TableName } from './statements.js';

const WHOLE = { seq: 0, kind: 'whole', lo: null, hi: null, estimate: 0 } as const;

/**
 * All that can be found out before anybody waits. The reader is a connection of its own: one that is left in the middle of a
 * COPY can only be closed, and the attempt's own two are needed to take it back.
 */
export class Carriage {
  private constructor(
    readonly tables: ScopeTable[],
    private readonly described: CopyTable[],
    private readonly reader: Session,
    /** Whether triggers can be kept silent; else there are none. */
    private readonly silent: boolean,
  ) {}

  /**
   * Null: there are no unlogged tables in scope. Fails with `PermissionDenied` if either side would refuse to be filled, for
   * the way back has to be sure before the way there is gone.
   */
  static async prepare(
    move: DatabaseMove,
    sides: Sides,
    from: Primary,
    tables: ScopeTable[],
  ): Promise<Carriage | null> {
    if (tables.length === 0) return null;
    const silent = { source: false, target: false };
    for (const side of ['source', 'target'] as const) {
      await requireRights(sides.of(side), tables);
      silent[side] = await maySilence(sides.of(side), tables);
    }
    await endRefreshes(sides.of(otherSide(from)), move.key);
    const reader = await Session.open(from, move.database[from], { purpose: `${move.key} switch carry` });
    try {
      const copied = tables.filter(({ unlogged }) => unlogged === 'copy');
      return new Carriage(tables, await describeTables(reader, copied), reader, silent[otherSide(from)]);
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /**
   * Empties the tables of the side `to`, which is closed, and fills them: one guarded transaction, with the fence that lets
   * this session pass in it, so nobody else ever meets that, and a crash at any line leaves all as it was.
   * Fails with `Blocked` when it takes longer than `left` says, with `CopyFailed` when `to` refuses rows.
   */
  async carry(attempt: Attempt, to: Primary, left: () => Milliseconds): Promise<void> {
    const session = attempt.sides.of(to);
    // The one end that is sure to come: the server that is read may not answer any more.
    const over = setTimeout(() => void this.reader.close(), left());
    try {
      await attempt.guarded(to, { states: ['closed'] }, async () => {
        const within = (): Promise<void> => limit(session, left());
        await this.#admit(session, attempt.key);
        await within();
        await emptyTables(session, this.tables);
        await faultPoint('switch.unlogged-emptied');
        for (const table of this.described) {
          await within();
          await copyRange(this.reader, session, table, WHOLE, new RateLimit(null), () => undefined);
        }
        await faultPoint('switch.unlogged-filled');
        // Nobody passes by that token any more.
        await replaceFence(session, attempt.key, { kind: 'closed' });
      });
    } catch (error) {
      throw await this.#explained(error, session, left());
    } finally {
      clearTimeout(over);
    }
  }

  async close(): Promise<void> {
    await this.reader.close();
  }

  async #admit(session: Session, key: string): Promise<void> {
    const token = randomBytes(24).toString('hex');
    const tokenHash = createHash('sha256').update(token).digest('hex');
    await replaceFence(session, key, { kind: 'closed', tokenHash });
    await session.batch([
      `set local godwit.token = ${literal(token)}`,
      ...(this.silent ? ['set local session_replication_role = replica'] : []),
    ]);
  }

  async #explained(error: unknown, session: Session, left: Milliseconds): Promise<unknown> {
    if (session.lost) return error;
    if (sqlState(error) === '55P03') {
      const who = await blockersOf(session, this.tables, true);
      return failure(
        'Blocked',
        `the unlogged tables of the ${session.side} could not be emptied: ${who.join('; ') || 'their readers took too long'}`,
      );
    }
    if (sqlState(error) !== '57014' && left > 0) return error;
    return failure(
      'Blocked',
      `carrying the unlogged tables (${named(this.described)}) took longer than what was left of the pause`,
      'Raise cutover.maxPause, or let tables.unlogged leave the large ones empty',
    );
  }
}

/** Of what the lease has beyond the budget. */
const NAMING_MS = 100;

/** Of each statement that follows in this transaction. */
async function limit(session: Session, left: Milliseconds): Promise<void> {
  const ms = Math.max(1, Math.floor(left));
  // Whoever is waited for is named, if the lock is what takes so long.
  await session.batch([`set local lock_timeout = ${ms}`, `set local statement_timeout = ${ms + NAMING_MS}`]);
}

async function requireRights(session: Session, tables: ScopeTable[]): Promise<void> {
  const missing = await session.rows<TableName & { role: string }>(
    `select t.schema, t.name, current_user as role
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name
     where not (has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT') and has_table_privilege(c.oid, 'TRUNCATE'))
     order by 1, 2`,
    [JSON.stringify(tables)],
  );
  if (missing.length === 0) return;
  throw failure(
    'PermissionDenied',
    `the role ${missing[0]?.role ?? ''} may not read, empty and fill unlogged tables of the ${session.side}: ${named(missing)}`,
    'Nothing was switched. GRANT SELECT, INSERT, TRUNCATE ON them TO it, then retry',
  );
}

/** Fails with `PermissionDenied` if triggers of the application would fire for the rows that are carried. */
async function maySilence(session: Session, tables: ScopeTable[]): Promise<boolean> {
  try {
    await session.transact(['set local session_replication_role = replica'], 'rollback');
    return true;
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    await requireNoTriggers(session, tables);
    return false;
  }
}

/** Enough to know which; the rest is counted. */
const NAMED = 5;

function named(tables: TableName[]): string {
  const names = tables.slice(0, NAMED).map(({ schema, name }) => `${schema}.${name}`);
  const more = tables.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
