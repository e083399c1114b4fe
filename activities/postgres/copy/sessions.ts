/** Connections of a sync: each named so that the next attempt, a pause or an undo can end them all. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseMove } from '../../contract.js';
import type { Primary } from '../../../spec/status.js';
import { failure } from '../../failure.js';
import { sqlState } from '../errors.js';
import { scopeNames } from '../names.js';
import { onEachSide } from '../replication/each-side.js';
import { Session } from '../session.js';
import { Sides } from '../sides.js';
import type { TableName } from '../statements.js';

const END_TIMEOUT_MS = 10_000;

/** Whether the scope's own subscription is there. */
export async function isSubscribed(target: Session, key: string): Promise<boolean> {
  const found = await target.row('select from pg_subscription where subname = $1', [scopeNames(key).slot('source')]);
  return found !== undefined;
}

/** What a run is for: one of each kind, and of each copier, runs at a time. */
export type SyncRole = 'hold' | 'finish' | `copy${number}`;

/** One run of a part of a sync. Its connections carry its id, so that it ends its own, and never those of a run that took over. */
export class SyncRun {
  readonly #id = randomBytes(3).toString('hex');

  constructor(
    readonly move: DatabaseMove,
    readonly role: SyncRole,
  ) {}

  get key(): string {
    return this.move.key;
  }

  async open(side: Primary, role: string, replication = false): Promise<Session> {
    return Session.open(side, this.move.database[side], {
      purpose: `${this.key} sync ${this.role} ${this.#id} ${role}`,
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
   * Both sides for this run alone: whoever had its role is ended, for Temporal has given that run up, though it may still be
   * at work somewhere. The lock is the target connection's.
   */
  async takeOver(): Promise<Sides> {
    const sides = await this.openBoth('control');
    try {
      const deadline = Date.now() + END_TIMEOUT_MS;
      for (;;) {
        await endSyncSessions(sides.target, this.key, this.role, this.#id);
        await endSyncSessions(sides.source, this.key, this.role, this.#id);
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
    const row = await target.row<{ taken: boolean }>(`select pg_try_advisory_lock(hashtextextended($1, 0)) as taken`, [
      `godwit sync ${this.key} ${this.role}`,
    ]);
    return row?.taken === true;
  }

  /** Ends what this run still has open; best effort, since a side that can't be reached runs nothing that a retry wouldn't end. */
  async end(): Promise<void> {
    await onEachSide(this.move, 'stop-sync', (session) =>
      endSessions(session, `godwit ${this.key} sync ${this.role} ${this.#id} `),
    ).catch(() => undefined);
  }
}

/** Ends the connections of this scope's syncs to one server: all of them, or those of one role but for one run. */
export async function endSyncSessions(session: Session, key: string, role?: SyncRole, but?: string): Promise<void> {
  const prefix = `godwit ${key} sync ${role === undefined ? '' : `${role} `}`;
  await endSessions(session, prefix, but === undefined ? null : `${prefix}${but} `);
}

/** Ends the connections of copiers that read a snapshot; those that wait for one go on waiting. */
export async function endReaders(session: Session, key: string): Promise<void> {
  await endSessions(session, `godwit ${key} sync copy`, null, ' (snapshot|read [0-9]+|write [0-9]+)$');
}

/**
 * Ends connections to one server by their name, but the caller's own, and waits until they are gone. A terminated backend
 * notices at once even inside CREATE INDEX; a client that merely left is noticed hours later.
 */
async function endSessions(session: Session, prefix: string, but: string | null = null, pattern = ''): Promise<void> {
  const deadline = Date.now() + END_TIMEOUT_MS;
  for (;;) {
    const left = await session.rows(
      `select pid, pg_terminate_backend(pid) from pg_stat_activity
       where starts_with(application_name, $1) and not coalesce(starts_with(application_name, $2), false)
         and application_name ~ $3 and pid <> pg_backend_pid()`,
      [prefix, but, pattern],
    );
    if (left.length === 0) return;
    if (Date.now() > deadline) {
      throw failure('Blocked', `${left.length} connections of an earlier copy on the ${session.side} do not end`);
    }
    await sleep(10);
  }
}

/** Lets this session write into `tables` of the fenced target, without firing the triggers and foreign keys of the application. */
export async function admit(target: Session, token: string, tables: TableName[]): Promise<void> {
  await target.rows(`select set_config('godwit.token', $1, false)`, [token]);
  // Rows and the record of their range are in one transaction, so a crash loses both or none.
  await target.run('set synchronous_commit = off');
  try {
    await target.run('set session_replication_role = replica');
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    await requireNoTriggers(target, tables);
  }
}

/** Fails with `PermissionDenied`, naming tables whose triggers would fire. */
export async function requireNoTriggers(target: Session, tables: TableName[]): Promise<void> {
  const found = await target.rows<{ table: string }>(
    `select distinct format('%s.%s', s.schema, s.name) as table
     from json_to_recordset($1::json) as s(schema text, name text)
     join pg_namespace n on n.nspname = s.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = s.name
     join pg_trigger t on t.tgrelid = c.oid and t.tgname !~ '^godwit_fence_' and t.tgenabled <> 'D'
     order by 1 limit 10`,
    [JSON.stringify(tables)],
  );
  if (found.length === 0) return;
  throw failure(
    'PermissionDenied',
    `triggers and foreign keys of ${found.map((row) => row.table).join(', ')} on the ${target.side} would fire while rows are copied`,
    'GRANT SET ON PARAMETER session_replication_role TO the role that Godwit connects as there (15 and newer), then retry',
  );
}
