/**
 * Authority: one row a scope in both databases says who takes the writes. Every transaction that changes that begins with
 * the guard; every attempt first takes charge. A small model of this (2 databases, 5 attempts that may stop anywhere,
 * leases that expire) was explored whole: with the guard no two writers in 406,430 states, without it a counterexample
 * in 49 steps.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Primary } from '../../spec/status.js';
import type { AuthorityState, AuthorityView, DatabaseMove } from '../contract.js';
import { failure } from '../failure.js';
import { sqlState } from './errors.js';
import { ddlTriggers } from './names.js';
import { requireRowFilters } from './row-filter.js';
import { resolveTables, scopeTables, type ScopeTable } from './scope.js';
import type { Session } from './session.js';
import { bothSides, otherSide, type Sides } from './sides.js';
import { literal, statement } from './statements.js';

export { bothSides } from './sides.js';

const SCHEMA = statement(import.meta.url, './sql/schema.sql');
const FORGET = statement(import.meta.url, './sql/forget.sql');

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const UNDEFINED_TABLE = '42P01';

/** How long a predecessor's backend may take to end once it is terminated. */
const TAKEOVER_TIMEOUT_MS = 10_000;

export interface AuthorityRow extends AuthorityView {
  side: Primary;
  attempt: string;
  signature: string;
  systemIdentifier: string;
  timeline: number;
  /** Milliseconds since the pause began, by this server's clock; null outside of a switch. */
  pausedForMs: number | null;
  fencedForMs: number | null;
}

export interface Identity {
  systemIdentifier: string;
  timeline: number;
  /** In recovery: it takes no writes, ours included. */
  standby: boolean;
}

/** The row of this scope; null when the schema or the row isn't there. */
export async function readAuthority(session: Session, key: string): Promise<AuthorityRow | null> {
  const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.authority') is not null as known`);
  return known?.known ? readRow(session, key) : null;
}

type StoredRow = Omit<AuthorityRow, 'epoch'> & { epoch: string };

/** The row's columns; `scope` quoted. */
const rowOf = (scope: string, lock = ''): string =>
  `select side, epoch, state, attempt, signature, system_identifier as "systemIdentifier", timeline,
          extract(epoch from clock_timestamp() - paused_at)::float8 * 1000 as "pausedForMs",
          extract(epoch from clock_timestamp() - fenced_at)::float8 * 1000 as "fencedForMs"
   from godwit.authority where scope = ${scope} ${lock}`;

const parsed = (row: StoredRow | undefined): AuthorityRow | null =>
  row === undefined ? null : { ...row, epoch: Number(row.epoch) };

async function readRow(session: Session, key: string, lock = ''): Promise<AuthorityRow | null> {
  const rows = session.rows<StoredRow & Record<string, unknown>>(rowOf('$1', lock), [key]);
  return parsed((await rows.catch(noSuchTable))[0]);
}

function noSuchTable(error: unknown): [] {
  if (sqlState(error) === UNDEFINED_TABLE) return [];
  throw error;
}

export interface Guard {
  states: AuthorityState[];
  side?: Primary;
  epoch?: number;
  /** Only this attempt may; absent for what is not a switch. */
  attempt?: string;
}

/**
 * A transaction that may act on the fence: authority row locked, checked, and committed synchronously, whatever the
 * server's default. A cede that was acknowledged and then lost in a crash would leave two writers.
 * Fails with `AuthorityLost` without having changed anything.
 */
export async function guarded<T>(
  session: Session,
  key: string,
  guard: Guard,
  work: (row: AuthorityRow) => Promise<T>,
): Promise<T> {
  const begin = ['set local synchronous_commit = on', rowOf(literal(key), 'for update')];
  return session.transactionAfter<StoredRow & Record<string, unknown>, T>(begin, async ([stored]) => {
    const row = parsed(stored);
    requireGuard(session, row, guard);
    return work(row);
  });
}

/** SQLSTATE of our own, of no class of Postgres. */
const NOT_GUARDED = 'GW001';

/** As `guarded`, for a transaction of few round trips: locks and checks the row, or ends the transaction. */
function guardStatements(key: string, guard: Guard): string[] {
  const wanted = [
    `scope = ${literal(key)}`,
    `state in (${guard.states.map((state) => literal(state)).join(', ')})`,
    ...(guard.side === undefined ? [] : [`side = ${literal(guard.side)}`]),
    ...(guard.epoch === undefined ? [] : [`epoch = ${guard.epoch}`]),
    ...(guard.attempt === undefined ? [] : [`attempt = ${literal(guard.attempt)}`]),
  ].join(' and ');
  return [
    'set local synchronous_commit = on',
    `do $guard$ begin
       perform from godwit.authority where ${wanted} for update;
       if not found then raise exception using errcode = '${NOT_GUARDED}', message = 'the authority row is not as expected'; end if;
     end $guard$`,
  ];
}

/** Begins a transaction whose commit is durable when it is acknowledged. */
const SYNCHRONOUSLY = 'begin; set local synchronous_commit = on';

function requireGuard(session: Session, row: AuthorityRow | null, guard: Guard): asserts row is AuthorityRow {
  if (row === null) {
    throw failure(
      'AuthorityLost',
      `the ${session.side} holds no authority row of this migration`,
      'It was undone or finalized by somebody else',
    );
  }
  const wrong =
    (!guard.states.includes(row.state) && `it is ${row.state}, expected ${guard.states.join(' or ')}`) ||
    (guard.side !== undefined && row.side !== guard.side && `it is registered as ${row.side}`) ||
    (guard.epoch !== undefined && row.epoch !== guard.epoch && `its epoch is ${row.epoch}, expected ${guard.epoch}`) ||
    (guard.attempt !== undefined && row.attempt !== guard.attempt && 'another attempt has taken charge');
  if (wrong)
    throw failure('AuthorityLost', `the ${session.side} may not be changed now: ${wrong}`, 'Nothing was changed');
}

/**
 * What undo steps require before they take away a protection: that writes go to the source. A scope that is nowhere is
 * fine. Fails with `AuthorityLost`.
 */
export async function requireSourcePrimary(sides: Sides, key: string): Promise<void> {
  const [source, target] = await Promise.all([readAuthority(sides.source, key), readAuthority(sides.target, key)]);
  if ((source === null || source.state === 'open') && (target === null || target.state === 'closed')) return;
  throw failure(
    'AuthorityLost',
    `writes are not with the source alone (source ${source?.state ?? 'unknown'}, target ${target?.state ?? 'unknown'})`,
    'The fences stay; move the writes back first with "godwit rollback"',
  );
}

/**
 * Writes the authority rows on both sides (source open, target closed, epoch 1) and takes the tables, on the source first.
 * Fails with `ScopeTaken`, naming the other migration, or `InvalidSpec` if patterns name no table.
 */
export async function claim(move: DatabaseMove): Promise<{ tables: number }> {
  await using sides = await bothSides(move, 'claim');
  const known = await scopeTables(sides.source, move.key);
  const tables = known.length > 0 ? known : await resolvedTables(sides.source, move);
  await claimOn(sides.source, move, 'source', tables);
  await claimOn(sides.target, move, 'target', tables);
  return { tables: tables.length };
}

async function resolvedTables(source: Session, move: DatabaseMove): Promise<ScopeTable[]> {
  const tables = await resolveTables(source, move.database.tables);
  await source.transaction(() => requireRowFilters(source, tables), 'begin read only');
  return tables;
}

async function claimOn(session: Session, move: DatabaseMove, side: Primary, tables: ScopeTable[]): Promise<void> {
  const identity = await identityOf(session);
  requirePrimary(session, identity);
  try {
    await session.transaction(async () => {
      await withSchemaLock(session);
      await session.run(SCHEMA);
      await session.run(
        `insert into godwit.authority (scope, migration, database, side, epoch, state, system_identifier, timeline)
         values ($1, $2, $3, $4, 1, $5, $6, $7) on conflict (scope) do nothing`,
        [
          move.key,
          move.migration,
          move.database.name,
          side,
          side === 'source' ? 'open' : 'closed',
          identity.systemIdentifier,
          identity.timeline,
        ],
      );
      const row = await readAuthority(session, move.key);
      if (row !== null && row.side !== side) {
        throw failure(
          'ScopeTaken',
          `the ${session.side} is registered as the ${row.side} of this migration`,
          'Are source and target the same database?',
        );
      }
      if ((await scopeTables(session, move.key)).length > 0) return;
      await session.run(
        `insert into godwit.scope_table (scope, schema_name, table_name, kind, row_filter, unlogged)
         select $1, t.schema, t.name, t.kind::"char", t."rowFilter", t.unlogged
         from json_to_recordset($2::json) as t(schema text, name text, kind text, "rowFilter" text, unlogged text)`,
        [move.key, JSON.stringify(tables)],
      );
    }, SYNCHRONOUSLY);
  } catch (error) {
    if (sqlState(error) !== '23505') throw error;
    throw failure(
      'ScopeTaken',
      await whoHolds(session, tables),
      'Finish or abort that migration first, or leave these tables out',
    );
  }
}

async function whoHolds(session: Session, tables: ScopeTable[]): Promise<string> {
  const held = await session.rows<{ migration: string; tables: string }>(
    `select a.migration, string_agg(format('%s.%s', s.schema_name, s.table_name), ', ' order by 1) as tables
     from godwit.scope_table s join godwit.authority a using (scope)
     join json_to_recordset($1::json) as t(schema text, name text) on s.schema_name = t.schema and s.table_name = t.name
     group by a.migration`,
    [JSON.stringify(tables)],
  );
  const who = held.map((row) => `migration ${row.migration} holds ${row.tables}`).join('; ');
  return `tables of the ${session.side} belong to another migration: ${who || 'it has ended meanwhile'}`;
}

/** Two claims at once would both try to make the schema. */
async function withSchemaLock(session: Session): Promise<void> {
  await session.rows(`select pg_advisory_xact_lock(hashtextextended('godwit schema', 0))`);
}

/**
 * Which server this is. The timeline is that of the WAL being written: the one of the last checkpoint stays the old one for
 * as long as the first checkpoint after a promotion takes.
 */
export async function identityOf(session: Session): Promise<Identity> {
  const row = await session.row<Identity>(
    `select (select system_identifier::text from pg_control_system()) as "systemIdentifier",
            case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
              else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end as timeline,
            pg_is_in_recovery() as standby`,
  );
  if (row === undefined) throw failure('Unexpected', `the ${session.side} does not tell its system identifier`);
  return row;
}

/** A standby that is being promoted answers as one that never will be: tried again, then a person is asked. */
function requirePrimary(session: Session, { standby }: Identity): void {
  if (!standby) return;
  throw failure(
    'DatabaseUnreachable',
    `the ${session.side} is a standby (in recovery), expected a primary`,
    `Let the URL of the ${session.side} lead to the primary, or promote this server; nothing was changed`,
  );
}

/** How a server that answers differs from the one that the migration began with, in words; null: it doesn't. */
export function strangerIn(side: Primary, was: Identity | AuthorityRow, is: Identity): string | null {
  if (was.systemIdentifier !== is.systemIdentifier) {
    return (
      `the ${side} is another server than when the migration began: expected system identifier ${was.systemIdentifier}, ` +
      `found ${is.systemIdentifier}`
    );
  }
  if (was.timeline === is.timeline) return null;
  return (
    `the ${side} failed over, or was restored: expected timeline ${was.timeline} of system ${was.systemIdentifier}, found ` +
    `timeline ${is.timeline}`
  );
}

/** Gives the tables back and removes the schema when no scope is left. Refuses while writes go to the target. */
export async function undoClaim(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'undo-claim');
  await requireSourcePrimary(sides, move.key);
  for (const side of [sides.target, sides.source]) await forgetScope(side, move.key);
}

/** Deletes one side's rows of the scope; with the last scope all of `godwit` but what reconciliations keep there. */
export async function forgetScope(session: Session, key: string): Promise<void> {
  await session.transaction(async () => {
    await withSchemaLock(session);
    const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.authority') is not null as known`);
    if (!known?.known) return;
    await session.run('delete from godwit.authority where scope = $1', [key]);
    const others = await session.row('select from godwit.authority limit 1');
    if (others === undefined) await session.run(FORGET);
  });
}

/** Whether another server than the one the row was written on may stand for it. */
export type Acceptance = (row: AuthorityRow, identity: Identity) => boolean;

const NOBODY_ELSE: Acceptance = () => false;

/** One attempt that may act on both sides: the only one, as long as its two connections live. */
export class Attempt {
  readonly id = randomUUID();
  /** Sides whose fence has a part against DDL: looked up once, since later clients wait. */
  readonly ddlFenced = new Set<Primary>();

  private constructor(
    readonly sides: Sides,
    readonly key: string,
  ) {}

  /**
   * Takes charge of both sides: the advisory locks, the end of whoever held them, and a durable write of its own first, so
   * that what is read afterwards is durable too. A predecessor that wakes later finds another attempt in the row, and its
   * connections gone. Fails with `AuthorityLost` when there is no such scope, `SystemChanged` after a failover.
   */
  static async takeCharge(move: DatabaseMove, accepts: Acceptance = NOBODY_ELSE): Promise<Attempt> {
    const sides = await bothSides(move, 'switch');
    const attempt = new Attempt(sides, move.key);
    try {
      for (const side of [sides.source, sides.target]) await takeLock(side, move.key);
      for (const side of ['source', 'target'] as const) {
        await attempt.#sign(sides.of(side), accepts);
        if (await hasDdlFence(sides.of(side), move.key)) attempt.ddlFenced.add(side);
      }
      return attempt;
    } catch (error) {
      await attempt[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A guarded transaction of this attempt on one side. */
  async guarded<T>(
    side: Primary,
    guard: Omit<Guard, 'attempt' | 'side'>,
    work: (row: AuthorityRow) => Promise<T>,
  ): Promise<T> {
    return guarded(this.sides.of(side), this.key, { ...guard, side, attempt: this.id }, work);
  }

  /** As `guarded`, in one round trip. */
  async guardedBatch(side: Primary, guard: Omit<Guard, 'attempt' | 'side'>, statements: string[]): Promise<void> {
    await this.#explained(side, guard, (guarding) => this.sides.of(side).transact([...guarding, ...statements]));
  }

  /** As `guarded`, in two round trips: see `Session.lookAndAct`. */
  async guardedLook<F extends Record<string, unknown>>(
    side: Primary,
    guard: Omit<Guard, 'attempt' | 'side'>,
    look: string[],
    act: (found: Partial<F>) => string[],
  ): Promise<void> {
    await this.#explained(side, guard, (guarding) => this.sides.of(side).lookAndAct<F>([...guarding, ...look], act));
  }

  async #explained(
    side: Primary,
    guard: Omit<Guard, 'attempt' | 'side'>,
    work: (guarding: string[]) => Promise<void>,
  ): Promise<void> {
    try {
      await work(guardStatements(this.key, { ...guard, side, attempt: this.id }));
    } catch (error) {
      if (sqlState(error) !== NOT_GUARDED) throw error;
      // What it was instead.
      await this.guarded(side, guard, () => Promise.resolve());
      throw failure('AuthorityLost', `the authority row of the ${side} changed under our eyes`, 'Nothing was changed');
    }
  }

  async read(side: Primary): Promise<AuthorityRow> {
    const row = await readRow(this.sides.of(side), this.key);
    requireGuard(this.sides.of(side), row, { states: ['open', 'leased', 'closed', 'ready'], side, attempt: this.id });
    return row;
  }

  async #sign(session: Session, accepts: Acceptance): Promise<void> {
    const identity = await identityOf(session);
    requirePrimary(session, identity);
    await session.transaction(async () => {
      const row = await readRow(session, this.key, 'for update');
      requireGuard(session, row, { states: ['open', 'leased', 'closed', 'ready'] });
      const stranger = strangerIn(row.side, row, identity);
      if (stranger !== null && !accepts(row, identity)) {
        throw failure(
          'SystemChanged',
          stranger,
          'A promoted standby may lack what its primary had acknowledged. Nothing was changed',
        );
      }
      await session.run('update godwit.authority set attempt = $2, updated_at = clock_timestamp() where scope = $1', [
        this.key,
        this.id,
      ]);
    }, SYNCHRONOUSLY);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sides[Symbol.asyncDispose]();
  }
}

/** Event triggers belong to superusers; where the role may not make them, there are none. */
async function hasDdlFence(session: Session, key: string): Promise<boolean> {
  const found = await session.row('select from pg_event_trigger where evtname = $1', [ddlTriggers(key).end]);
  return found !== undefined;
}

/**
 * The session advisory lock of the scope. Whoever has it is ended: a newer attempt is only begun when Temporal has given up
 * the older one, which may still be alive somewhere. Found by pg_locks, since application_name is cut at 63 bytes.
 */
async function takeLock(session: Session, key: string): Promise<void> {
  const lockKey = BigInt(`0x${key}`).toString();
  const deadline = Date.now() + TAKEOVER_TIMEOUT_MS;
  for (;;) {
    const taken = await session.row<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [lockKey]);
    if (taken?.taken) return;
    if (Date.now() > deadline) throw failure('Blocked', `another attempt holds the ${session.side} and does not end`);
    await session.rows(
      `select pg_terminate_backend(pid) from pg_locks
       where locktype = 'advisory' and granted and objsubid = 1 and pid <> pg_backend_pid()
         and database = (select oid from pg_database where datname = current_database())
         and ((classid::bigint << 32) | objid::bigint) = $1::bigint`,
      [lockKey],
    );
    await sleep(5);
  }
}

/** Which side takes writes, from both rows; null in the middle of a switch. */
export function primaryOf(source: AuthorityRow, target: AuthorityRow): Primary | null {
  if (source.state === 'open' && target.state === 'closed') return 'source';
  if (target.state === 'open' && source.state === 'closed') return 'target';
  return null;
}

export { otherSide };
