/** Subscriptions by name: made on slots that exist already, dropped without asking the publisher. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Milliseconds, NormalDatabase } from '../../../spec/normal.js';
import type { Primary } from '../../../spec/status.js';
import { failure } from '../../failure.js';
import { connectionString, publisherOf, type Publisher } from '../connection.js';
import { sqlState } from '../errors.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { identifier, literal } from '../statements.js';

/** An apply worker ends within milliseconds of being told. */
const WORKER_END_TIMEOUT_MS = 10_000;

export interface TriedSubscription {
  name: string;
  publication: string;
  /** What the subscribing server connects to itself. */
  publisher: Publisher;
}

/**
 * CREATE SUBSCRIPTION to the publication and the existing slot of a scope, or of a group of it, without table
 * synchronization, if it isn't there. Connects to the publisher, so it fails here, and not in a switch, when there is no
 * way to it.
 * https://www.postgresql.org/docs/current/sql-createsubscription.html
 * @param key of the scope, or of the group
 * @param enabled false: proves rights and the network path now, applies nothing until `enableSubscription`
 */
export async function ensureSubscription(
  session: Session,
  database: NormalDatabase,
  key: string,
  from: Primary,
  enabled = true,
): Promise<void> {
  const { publication, slot } = scopeNames(key);
  const name = slot(from);
  const found = await session.row('select from pg_subscription where subname = $1', [name]);
  if (found !== undefined) {
    if (enabled) await enableSubscription(session, name);
    return;
  }
  const connection = await connectionString(publisherOf(database, from), name);
  await hideFromLog(session);
  // Without two_phase, which version 15 was the first to know: off is its default.
  await session.run(
    `create subscription ${identifier(name)} connection ${literal(connection)}
     publication ${identifier(publication)}
     with (create_slot = false, copy_data = false, enabled = ${enabled}, slot_name = ${literal(name)})`,
  );
}

/**
 * CREATE SUBSCRIPTION, rolled back: connects as a real one would, and leaves nothing, on either side. Without a slot it may be
 * made in a transaction, and it fails by itself where the publisher can't be reached or a role may not.
 * @param patience milliseconds
 */
export async function trySubscription(
  session: Session,
  { name, publication, publisher }: TriedSubscription,
  patience: Milliseconds,
): Promise<void> {
  const connection = await connectionString(publisher, name);
  await hideFromLog(session);
  await session.transact(
    [
      `set local statement_timeout = ${patience}`,
      `create subscription ${identifier(name)} connection ${literal(connection)}
       publication ${identifier(publication)}
       with (connect = true, create_slot = false, copy_data = false, enabled = false, slot_name = none)`,
    ],
    'rollback',
  );
}

/** Lets a subscription that is there follow its publisher to where the URL leads now; does nothing when there is none. */
export async function followPublisher(
  session: Session,
  { name, publisher }: Omit<TriedSubscription, 'publication'>,
): Promise<void> {
  const found = await session.row('select from pg_subscription where subname = $1', [name]);
  if (found === undefined) return;
  const connection = await connectionString(publisher, name);
  await hideFromLog(session);
  await session.run(`alter subscription ${identifier(name)} connection ${literal(connection)}`);
}

/** CREATE SUBSCRIPTION holds the publisher's password; a server that logs DDL would write it down. Superusers only. */
async function hideFromLog(session: Session): Promise<void> {
  for (const setting of [
    'log_statement = none',
    'log_min_duration_statement = -1',
    'log_min_error_statement = panic',
  ]) {
    try {
      await session.run(`set ${setting}`);
    } catch (error) {
      if (sqlState(error) !== '42501') throw error;
    }
  }
}

export async function enableSubscription(session: Session, name: string): Promise<void> {
  await session.run(`alter subscription ${identifier(name)} enable`);
}

/**
 * Stops applying. Answers, once the apply worker is gone, whether there is such a subscription: before version 16, two
 * directions alive at once ended as different rows on the two sides.
 */
export async function stopSubscription(session: Session, name: string): Promise<boolean> {
  const found = await session.row<{ oid: string; enabled: boolean }>(
    `select v.subid::text as oid, s.subenabled as enabled
     from pg_subscription s join pg_stat_subscription v on v.subname = s.subname and v.relid is null
     where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database()) limit 1`,
    [name],
  );
  if (found === undefined) return false;
  if (found.enabled) await session.run(`alter subscription ${identifier(name)} disable`);
  await workersGone(session, name, found.oid);
  return true;
}

/** Stops applying and drops the subscription here; its slot on the publisher stays, for `dropSlot`. */
export async function dropSubscription(session: Session, name: string): Promise<void> {
  // One transaction: a subscription without its slot's name would be forgotten by nobody and followed by no one.
  if (await stopSubscription(session, name)) await session.batch(dropStatements(name));
}

/** Drops a subscription that is there and stopped. For one transaction. */
export const dropStatements = (name: string): string[] => [
  `alter subscription ${identifier(name)} set (slot_name = none)`,
  `drop subscription ${identifier(name)}`,
];

/** The worker notices DISABLE only when it next wakes (up to 1 s, before version 16), so it is told: all that counts is applied. */
async function workersGone(session: Session, name: string, oid: string): Promise<void> {
  const deadline = Date.now() + WORKER_END_TIMEOUT_MS;
  for (;;) {
    const worker = await session.row<{ pid: number }>(
      'select pid, pg_terminate_backend(pid) from pg_stat_subscription where subid = $1::oid and pid is not null limit 1',
      [oid],
    );
    if (worker === undefined) return;
    if (Date.now() > deadline) {
      throw failure(
        'Blocked',
        `the apply worker ${worker.pid} of subscription ${name} on the ${session.side} does not end`,
      );
    }
    await sleep(1);
  }
}
