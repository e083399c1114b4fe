/** Connections of a sync: each named so that the next attempt, a pause or an undo can end them all. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseMove } from '../../contract.js';
import type { Primary } from '../../../spec/status.js';
import { failure } from '../../failure.js';
import { sqlState } from '../errors.js';
import { onEachSide } from '../replication/each-side.js';
import { Session } from '../session.js';
import { Sides } from '../sides.js';

const END_TIMEOUT_MS = 10_000;

/** One run of a sync. Its connections carry its id, so that it ends its own, and never those of a run that took over. */
export class SyncRun {
  readonly #id = randomBytes(3).toString('hex');

  constructor(readonly move: DatabaseMove) {}

  get key(): string {
    return this.move.key;
  }

  async open(side: Primary, role: string, replication = false): Promise<Session> {
    return Session.open(side, this.move.database[side], {
      purpose: `${this.key} sync ${this.#id} ${role}`,
      replication,
    });
  }

  async openBoth(role: string): Promise<Sides> {
    const source = await this.open('source', role);
    try {
      return new Sides(source, await this.open('target', role));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * Both sides for this run alone: whoever had them is ended, for Temporal has given that run up, though it may still be
   * copying somewhere. The lock is the target connection's, and so is the right to the slot.
   */
  async takeOver(): Promise<Sides> {
    const sides = await this.openBoth('control');
    try {
      const deadline = Date.now() + END_TIMEOUT_MS;
      for (;;) {
        await endSyncSessions(sides.target, this.key);
        await endSyncSessions(sides.source, this.key);
        if (await this.holdsLock(sides.target)) return sides;
        if (Date.now() > deadline) throw failure('Blocked', 'another copy of this migration does not end');
        await sleep(10);
      }
    } catch (error) {
      await sides[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Takes the lock on this connection; false while another run has it. */
  async holdsLock(target: Session): Promise<boolean> {
    const row = await target.row<{ taken: boolean }>(
      `select pg_try_advisory_lock(hashtextextended('godwit sync ' || $1, 0)) as taken`,
      [this.key],
    );
    return row?.taken === true;
  }

  /** Ends what this run still has open; best effort, since a side that can't be reached runs nothing that a retry wouldn't end. */
  async end(): Promise<void> {
    await onEachSide(this.move, 'stop-sync', (session) => endSyncSessions(session, this.key, this.#id)).catch(
      () => undefined,
    );
  }
}

/**
 * Ends the connections of this scope's syncs (or of one run) to one server, but the caller's own, and waits until they are
 * gone. A terminated backend notices at once even inside CREATE INDEX; a client that merely left is noticed hours later.
 */
export async function endSyncSessions(session: Session, key: string, run?: string): Promise<void> {
  const deadline = Date.now() + END_TIMEOUT_MS;
  for (;;) {
    const left = await session.rows(
      `select pid, pg_terminate_backend(pid) from pg_stat_activity
       where starts_with(application_name, $1) and pid <> pg_backend_pid()`,
      [`godwit ${key} sync ${run === undefined ? '' : `${run} `}`],
    );
    if (left.length === 0) return;
    if (Date.now() > deadline) {
      throw failure('Blocked', `${left.length} connections of an earlier copy on the ${session.side} do not end`);
    }
    await sleep(10);
  }
}

/** Lets this session write into the fenced target, without firing the triggers and foreign keys of the application. */
export async function admit(target: Session, token: string): Promise<void> {
  await target.rows(`select set_config('godwit.token', $1, false)`, [token]);
  // Rows and the record of their range are in one transaction, so a crash loses both or none.
  await target.run('set synchronous_commit = off');
  try {
    await target.run('set session_replication_role = replica');
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    await requireNoTriggers(target);
  }
}

async function requireNoTriggers(target: Session): Promise<void> {
  const found = await target.rows<{ table: string }>(
    `select distinct format('%s.%s', s.schema_name, s.table_name) as table
     from godwit.scope_table s
     join pg_namespace n on n.nspname = s.schema_name
     join pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
     join pg_trigger t on t.tgrelid = c.oid and t.tgname !~ '^godwit_fence_' and t.tgenabled <> 'D'
     order by 1 limit 10`,
  );
  if (found.length === 0) return;
  throw failure(
    'PermissionDenied',
    `triggers and foreign keys of ${found.map((row) => row.table).join(', ')} on the target would fire while rows are copied`,
    'Grant SET ON PARAMETER session_replication_role to the role that Godwit connects as (15 and newer), or let Godwit copy the schema',
  );
}
