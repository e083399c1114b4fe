/**
 * The fence: statement triggers on every table in scope, on both sides, whose one function decides whether writes pass.
 * It stops superusers, COPY, replica-role sessions, rules, views and cascades; logical apply passes, since it fires no
 * statement triggers. State and deadline live in the function's body, so that opening needs no lock on any table.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds } from '../../spec/normal.js';
import type { DatabaseMove } from '../contract.js';
import { cancellation, heartbeat } from '../activity-context.js';
import { failure } from '../failure.js';
import { bothSides, guarded, requireSourcePrimary } from './authority.js';
import { blockersOf, cancelAutovacuum } from './blockers.js';
import { sqlState } from './errors.js';
import { ddlTriggers, scopeNames } from './names.js';
import { filtered, truncateGuardStatements } from './row-filter.js';
import { markerTable } from './marker.js';
import { endRefreshes } from './materialized-views.js';
import { scopeTables, type ScopeTable } from './scope.js';
import { forgetLimits, restoreLimits } from './sequences.js';
import type { Session } from './session.js';
import { identifier, literal, qualified, statement } from './statements.js';

const OPEN = statement(import.meta.url, './sql/fence_open.sql');
const LEASED = statement(import.meta.url, './sql/fence_leased.sql');
const CLOSED = statement(import.meta.url, './sql/fence_closed.sql');
const DDL_OPEN = statement(import.meta.url, './sql/ddl_fence_open.sql');
const DDL_CLOSED = statement(import.meta.url, './sql/ddl_fence_closed.sql');
const MISSING_TRIGGERS = statement(import.meta.url, './sql/missing_triggers.sql');
const SIGNATURE = statement(import.meta.url, './sql/signature.sql');

/** Above `deadlock_timeout` (1 s): autovacuum yields a table only after that, so a shorter wait never wins against it. */
const INSTALL_LOCK_TIMEOUT = '1500ms';
const INSTALL_RETRY_MS = 500;
/** How long installation waits for one table's writers before a person is told who they are. */
const INSTALL_PATIENCE_MS = 60_000;

export type FenceState =
  | { kind: 'open' }
  /** `deadline`: a timestamptz of this server's clock, as text. */
  | { kind: 'leased'; deadline: string }
  | { kind: 'closed'; tokenHash?: string };

/**
 * What replaces the fence's function, and with `ddl` the one that refuses DDL. Takes no table lock: closing needs
 * `lockStatements` before it in the same transaction, or after it in another, which drains the writers that passed the old one.
 */
export function fenceStatements(key: string, state: FenceState, ddl: boolean): string[] {
  return [writeFence(key, state), ...(ddl ? [ddlFence(key, state)] : [])];
}

/** Replaces the function that decides on writes. */
export async function replaceFence(session: Session, key: string, state: FenceState): Promise<void> {
  await session.batch(fenceStatements(key, state, false));
}

function writeFence(key: string, state: FenceState): string {
  const names = scopeNames(key);
  const fence = identifier(names.fence);
  switch (state.kind) {
    case 'open':
      return filled(OPEN, { fence });
    case 'leased': {
      const breach = literal(`godwit.${names.breach}`);
      return filled(LEASED, { fence, deadline: literal(state.deadline), breach });
    }
    case 'closed':
      return filled(CLOSED, { fence, token_hash: literal(state.tokenHash ?? 'none') });
  }
}

function ddlFence(key: string, state: FenceState): string {
  const names = scopeNames(key);
  const ddl_fence = identifier(names.ddlFence);
  if (state.kind === 'open') return filled(DDL_OPEN, { ddl_fence });
  const deadline = literal(state.kind === 'leased' ? state.deadline : 'infinity');
  return filled(DDL_CLOSED, { ddl_fence, deadline, scope: literal(key), trigger: literal(names.trigger) });
}

/** Values stand for `:name`, quoted by the caller: utility statements and function bodies take no parameters. */
function filled(sql: string, values: Record<string, string>): string {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`:${name}`, () => value), sql);
}

/**
 * SHARE ROW EXCLUSIVE on all tables in scope at once: waits for their writers, and for prepared transactions, which hold
 * the same locks. For a transaction; it fails with `Blocked` when one lock took longer than `timeout`.
 */
export function lockStatements(tables: ScopeTable[], timeout: Milliseconds): string[] {
  const names = tables.map((table) => `only ${qualified(table)}`).join(', ');
  return [`set local lock_timeout = ${Math.ceil(timeout)}`, `lock table ${names} in share row exclusive mode`];
}

/** Tables whose triggers aren't as installed; empty when the fence is whole. */
export async function brokenTables(session: Session, key: string): Promise<string[]> {
  const names = scopeNames(key);
  const found = await session.rows<{ schema: string; name: string }>(MISSING_TRIGGERS, [
    key,
    names.trigger,
    names.truncateTrigger,
    names.fence,
  ]);
  return found.map((table) => `${table.schema}.${table.name}`);
}

export interface FenceView {
  /** As `brokenTables`. */
  broken: string[];
  /** The tables' shape is what it was when the fence was installed. */
  unchanged: boolean;
}

const LOOK = `
  select array(select m.schema || '.' || m.name from (${MISSING_TRIGGERS}) m) as broken,
         (select a.signature = (${SIGNATURE}) from godwit.authority a where a.scope = $1) as unchanged`;

/** Name of the prepared statement, in the session of one attempt. */
const PREPARED_LOOK = 'godwit_look';

/** Prepares `lookStatements` in this session: planning it costs more than running it, and clients wait for the second look. */
export async function prepareLook(session: Session): Promise<void> {
  await session.batch([`prepare ${PREPARED_LOOK} (text, text, text, text) as ${LOOK}`]);
}

/** One row, a `FenceView`: triggers and shape of all tables, in one statement. For a transaction, after `prepareLook`. */
export function lookStatements(key: string): string[] {
  const names = scopeNames(key);
  const values = [key, names.trigger, names.truncateTrigger, names.fence].map((value) => literal(value)).join(', ');
  return ['set local plan_cache_mode = force_generic_plan', `execute ${PREPARED_LOOK} (${values})`];
}

/** Digest of the shape of the tables in scope. */
export async function signatureOf(session: Session, key: string): Promise<string> {
  return (await session.row<{ signature: string }>(SIGNATURE, [key]))?.signature ?? '';
}

/**
 * Whether a lease still holds: its deadline lies ahead, and nobody wrote after it. Not transactional, so even a write that
 * rolled back counts. Ask under the locks of all tables: nobody passes then until they are given back.
 */
export function leaseHoldsExpression(key: string, deadline: string): string {
  const breach = `godwit.${identifier(scopeNames(key).breach)}`;
  return `(select clock_timestamp() < ${literal(deadline)}::timestamptz and not is_called from ${breach})`;
}

export async function resetBreach(session: Session, key: string): Promise<void> {
  await session.rows('select setval($1::regclass, 1, false)', [`godwit.${identifier(scopeNames(key).breach)}`]);
}

/**
 * Lets one session of ours write into the closed target: the copy. Answers the token to set in it
 * (`set godwit.token = …`); an earlier token is void from now on.
 * Fails with `AuthorityLost` unless the target is closed and the source is where writes go.
 */
export async function admitCopy(target: Session, key: string): Promise<string> {
  const token = randomBytes(24).toString('hex');
  const tokenHash = createHash('sha256').update(token).digest('hex');
  await guarded(target, key, { states: ['closed'], side: 'target' }, () =>
    replaceFence(target, key, { kind: 'closed', tokenHash }),
  );
  return token;
}

/** Fence functions, triggers and marker tables on both sides: source open, target closed. One table at a time. */
export async function installFence(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'fence');
  await requireSourcePrimary(sides, move.key);
  for (const side of [sides.target, sides.source]) await installOn(side, move.key);
}

async function installOn(session: Session, key: string): Promise<void> {
  const names = scopeNames(key);
  const isTarget = session.side === 'target';
  await guarded(
    session,
    key,
    { states: isTarget ? ['closed'] : ['open'], side: isTarget ? 'target' : 'source' },
    async () => {
      await session.run(`create sequence if not exists godwit.${identifier(names.breach)}`);
      await session.run(markerTable(key));
      const known = await session.row(`select to_regproc($1) is not null as known`, [`godwit.${names.fence}`]);
      if (known?.['known'] !== true) await replaceFence(session, key, isTarget ? { kind: 'closed' } : { kind: 'open' });
      const signature = await signatureOf(session, key);
      await session.run('update godwit.authority set signature = $2 where scope = $1', [key, signature]);
    },
  );
  await installDdlFence(session, key);
  const tables = await scopeTables(session, key);
  const missing = new Set(await brokenTables(session, key));
  for (const table of tables) {
    if (missing.has(`${table.schema}.${table.name}`)) await installTriggers(session, key, table);
    heartbeat();
  }
  for (const table of isTarget ? filtered(tables) : []) {
    await patiently(session, [table], `guard ${table.schema}.${table.name} against TRUNCATE`, () =>
      session.batch(truncateGuardStatements(key, table)),
    );
  }
}

/** Event triggers belong to superusers; without that right the cede's own look at every table has to do. */
async function installDdlFence(session: Session, key: string): Promise<void> {
  const role = await session.row<{ super: boolean }>(
    'select rolsuper as super from pg_roles where rolname = current_user',
  );
  if (role?.super !== true) return;
  const call = `godwit.${identifier(scopeNames(key).ddlFence)}()`;
  const triggers = ddlTriggers(key);
  await session.transaction(async () => {
    await session.run(ddlFence(key, { kind: 'open' }));
    for (const [name, event] of [
      [triggers.end, 'ddl_command_end'],
      [triggers.drop, 'sql_drop'],
    ] as const) {
      const known = await session.row('select from pg_event_trigger where evtname = $1', [name]);
      if (known !== undefined) continue;
      await session.run(`create event trigger ${identifier(name)} on ${event} execute function ${call}`);
      await session.run(`alter event trigger ${identifier(name)} enable always`);
    }
  });
}

async function installTriggers(session: Session, key: string, table: ScopeTable): Promise<void> {
  await patiently(session, [table], `install the fence on ${table.schema}.${table.name}`, () =>
    session.batch(triggerStatements(key, table)),
  );
}

export function triggerStatements(key: string, table: ScopeTable): string[] {
  const names = scopeNames(key);
  const on = qualified(table);
  const call = `godwit.${identifier(names.fence)}()`;
  const events: [string, string][] = [
    [names.trigger, 'insert or update or delete'],
    [names.truncateTrigger, 'truncate'],
  ];
  // `only`: triggers on a partitioned table are statement triggers of its own and reach no partition.
  return events.flatMap(([name, event]) => [
    `drop trigger if exists ${identifier(name)} on ${on}`,
    `create trigger ${identifier(name)} before ${event} on ${on} for each statement execute function ${call}`,
    `alter table only ${on} enable always trigger ${identifier(name)}`,
  ]);
}

/**
 * For the transaction that makes the target's tables: nobody ever sees one of them without its closed fence. What is still
 * missing then, `installFence` adds.
 */
export async function fenceNewTables(target: Session, key: string, tables: ScopeTable[]): Promise<void> {
  await replaceFence(target, key, { kind: 'closed' });
  for (const table of tables) await target.batch(triggerStatements(key, table));
}

/** Runs short DDL in transactions that give way at once: a waiting lock request blocks everybody behind it. */
export async function patiently(
  session: Session,
  tables: ScopeTable[],
  wanted: string,
  work: () => Promise<void>,
): Promise<void> {
  const began = Date.now();
  for (;;) {
    await cancelAutovacuum(session, tables);
    try {
      await session.transaction(work, `begin; set local lock_timeout = '${INSTALL_LOCK_TIMEOUT}'`);
      return;
    } catch (error) {
      if (sqlState(error) !== '55P03' && sqlState(error) !== '40P01') throw error;
      if (Date.now() - began > INSTALL_PATIENCE_MS) {
        const who = await blockersOf(session, tables);
        throw failure(
          'Blocked',
          `could not ${wanted} on the ${session.side}`,
          `In the way: ${who.join('; ') || 'nobody any more'}`,
        );
      }
    }
    heartbeat();
    await sleep(INSTALL_RETRY_MS, undefined, { signal: cancellation() });
  }
}

/** Removes fence and marker from both sides. Refuses while writes go to the target. */
export async function undoFence(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'undo-fence');
  await requireSourcePrimary(sides, move.key);
  for (const side of [sides.source, sides.target]) await removeFence(side, move.key);
}

/** Removes fence and marker from one side; fine when parts of it, or all, are gone. */
export async function removeFence(session: Session, key: string): Promise<void> {
  const names = scopeNames(key);
  // A reader of hours, of which each trigger would wait. It is tried again, and finds out whether it is still wanted.
  await endRefreshes(session, key);
  for (const trigger of Object.values(ddlTriggers(key))) {
    await session.run(`drop event trigger if exists ${identifier(trigger)}`);
  }
  const fenced = await session.rows<ScopeTable>(
    `select distinct n.nspname as schema, c.relname as name, c.relkind as kind
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where t.tgname in ($1, $2, $3)`,
    [names.trigger, names.truncateTrigger, names.truncateGuard],
  );
  for (const table of fenced) {
    const statements = [names.trigger, names.truncateTrigger, names.truncateGuard].map(
      (name) => `drop trigger if exists ${identifier(name)} on ${qualified(table)}`,
    );
    await patiently(session, [table], `remove the fence from ${table.schema}.${table.name}`, () =>
      session.batch(statements),
    );
    heartbeat();
  }
  if ((await session.row(`select from pg_namespace where nspname = 'godwit'`)) === undefined) return;
  await liftCaps(session, key);
  await session.run(
    `drop function if exists ${[names.fence, names.ddlFence, names.truncateGuard].map((name) => `godwit.${identifier(name)}()`).join(', ')}`,
  );
  await session.run(`drop sequence if exists godwit.${identifier(names.breach)}`);
  await session.run(`drop table if exists godwit.${identifier(names.marker)}`);
}

/** A side that has ceded keeps its sequences capped, also after the writes are back on the other. */
async function liftCaps(session: Session, key: string): Promise<void> {
  const known = await session.row<{ known: boolean }>(
    `select to_regclass('godwit.sequence_limit') is not null as known`,
  );
  if (!known?.known) return;
  await session.transaction(async () => {
    await restoreLimits(session, key);
    await session.run(forgetLimits(key));
  });
}
