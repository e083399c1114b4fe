/**
 * Partitions that were made or attached on the source after the migration began. They belong to a table that moves, so once the
 * target has them too, they come along: as a sync group of their own, whose slot and snapshot bring their rows, and which is then
 * handed over to the scope's slot.
 *
 *     fence          on both sides, the target's empty; from now on the scope has them
 *     copy           slot, snapshot, rows; its own subscription until it has caught up
 *     unsubscribe    the scope's subscription ends where it has applied to, and its slot is advanced to just there
 *     hand over      writers drained, the scope's publication takes the partitions, the group's gives them up
 *     marker         of the group, then a synchronous commit
 *     subscribe      again, from the scope's slot: a subscription knows the tables that were published when it was made
 *
 * The way back is made anew by the next switch: a subscription from before would leave the new partitions out.
 */
import { cancellation, stoppable } from '../../activity-context.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import { readAuthority } from '../authority.js';
import { addMembers, caughtUp, dropGroup, groupsOf, isFollowing, membersOf, setState } from '../copy/groups.js';
import { describeTables } from '../copy/plan.js';
import { RateLimit } from '../copy/rate.js';
import { copyRange } from '../copy/rows.js';
import { finishRange, storePlan } from '../copy/ranges.js';
import { admit, SyncRun } from '../copy/sessions.js';
import { takeSnapshot } from '../copy/snapshot.js';
import { sqlState } from '../errors.js';
import { admitCopy, lockStatements, patiently, triggerStatements } from '../fence.js';
import { markerTable } from '../marker.js';
import { groupKey, scopeNames } from '../names.js';
import { compareTables, tablesWithRows } from '../schema/compare.js';
import { replicatedTables, resolveTables, scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import type { Sides } from '../sides.js';
import { nameOf, statement, type TableName } from '../statements.js';
import { publish, publishedTables } from './publication.js';
import { dropSlot } from './slot.js';
import { dropStatements, dropSubscription, ensureSubscription, stopSubscription } from './subscription.js';

const NEW_PARTITIONS = statement(import.meta.url, '../sql/drift.sql');

const LOCK_TRY_MS = 1_000;

/**
 * Takes partitions along that are new on the source; answers how many. Whatever it was interrupted at, running it again
 * completes it. Fails with `SchemaMismatch` while the target lacks them, giving the statements, with `TargetNotEmpty` if they
 * hold rows there, and with `Blocked` before the first copy is complete. After a switch it does nothing.
 */
export async function adoptPartitions(move: DatabaseMove): Promise<{ adopted: number }> {
  return stoppable(() => adopt(move));
}

async function adopt(move: DatabaseMove): Promise<{ adopted: number }> {
  const run = new SyncRun(move, 'finish');
  const stop = (): void => void run.end();
  const signal = cancellation();
  signal.addEventListener('abort', stop);
  try {
    await using sides = await run.takeOver();
    const { key } = move;
    if ((await readAuthority(sides.source, key))?.state !== 'open') return { adopted: 0 };
    const interrupted = await unfinished(sides.target, key);
    const following = await isFollowing(sides, key);
    const fresh = await newPartitions(sides.source, move, following);
    if (fresh.length > 0 && interrupted.length === 0) {
      if (!following) {
        throw failure(
          'Blocked',
          `partitions came while the first copy was under way: ${fresh.map((table) => `${table.schema}.${table.name}`).join(', ')}`,
          'They come along once it is complete: retry then',
        );
      }
      await enlarge(sides, key, fresh);
      await faultPoint('adopt.fenced');
      await copyIn(run, sides, fresh);
      await faultPoint('adopt.copied');
    }
    let adopted = 0;
    for (const { seq } of await unfinished(sides.target, key)) adopted += await bring(move, sides, seq);
    return { adopted };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function unfinished(target: Session, key: string): Promise<{ seq: number }[]> {
  return (await groupsOf(target, key)).filter(
    ({ state }) => state !== 'live' && state !== 'closing' && state !== 'closed',
  );
}

/**
 * Of partitioned tables in scope. Once all is published, those too that an earlier run has taken into the scope, and no further.
 * Unlogged ones don't come along: `adoptShape` names them.
 */
async function newPartitions(source: Session, move: DatabaseMove, following: boolean): Promise<ScopeTable[]> {
  const added = await source.rows<TableName & Record<string, unknown>>(NEW_PARTITIONS, [move.key]);
  const names = new Set(added.map(nameOf));
  const known = await publishedTables(source, move.key);
  const scope = new Set((await scopeTables(source, move.key)).map(nameOf));
  return (await resolveTables(source, move.database.tables)).filter(
    (table) =>
      table.unlogged == null &&
      (names.has(nameOf(table)) ||
        (following && table.kind === 'r' && scope.has(nameOf(table)) && !known.has(nameOf(table)))),
  );
}

/** The fence and the scope, on both sides. */
async function enlarge({ source, target }: Sides, key: string, fresh: ScopeTable[]): Promise<void> {
  const differences = await compareTables(source, target, fresh);
  if (differences.length > 0) {
    const statements = await source.rows<{ statement: string }>(NEW_PARTITIONS, [key]);
    throw failure(
      'SchemaMismatch',
      `partitions that came on the source differ on the target: ${differences.join('; ')}`,
      `Make them there, empty, then retry: ${statements.map((row) => row.statement).join('; ')}`,
    );
  }
  for (const side of [target, source]) {
    for (const table of fresh) {
      await patiently(side, [table], `take ${table.schema}.${table.name} into the scope`, async () => {
        await side.batch(lockStatements([table], LOCK_TRY_MS));
        const known = await side.row(
          'select from godwit.scope_table where scope = $1 and schema_name = $2 and table_name = $3',
          [key, table.schema, table.name],
        );
        if (side === target && known === undefined) await requireEmpty(target, table);
        await side.batch(triggerStatements(key, table));
        await side.run(
          `insert into godwit.scope_table (scope, schema_name, table_name, kind, row_filter)
           values ($1, $2, $3, $4::"char", $5) on conflict do nothing`,
          [key, table.schema, table.name, table.kind, table.rowFilter ?? null],
        );
      });
    }
  }
  const names = scopeNames(key);
  await dropSubscription(source, names.slot('target'));
  await dropSlot(target, names.slot('target'));
  const leaves = replicatedTables(await scopeTables(target, key));
  await target.transaction(() =>
    publish(
      target,
      key,
      leaves.map((table) => ({ ...table, rowFilter: null })),
    ),
  );
}

async function requireEmpty(target: Session, table: ScopeTable): Promise<void> {
  if ((await tablesWithRows(target, [table])).length === 0) return;
  throw failure(
    'TargetNotEmpty',
    `partition ${table.schema}.${table.name} holds rows on the target, which nobody has copied there`,
    'Empty it there, then retry',
  );
}

/** Their rows and the record of the group are one transaction: a crash before it begins again with another slot. */
async function copyIn(run: SyncRun, { source, target }: Sides, fresh: ScopeTable[]): Promise<void> {
  const { key, move } = run;
  const leaves = fresh.filter((table) => table.kind === 'r');
  const seq = Math.max(0, ...(await groupsOf(target, key)).map((group) => group.seq)) + 1;
  const own = groupKey(key, seq);
  const slot = scopeNames(own).slot('source');
  for (const side of [source, target]) await side.run(markerTable(own));
  await source.transaction(() => publish(source, own, leaves));
  await dropSlot(source, slot);
  const token = await admitCopy(target, key);
  const writer = await run.open('target', 'adopt');
  try {
    await admit(writer, token, leaves);
    const snapshot = await takeSnapshot(run, source, leaves, slot);
    try {
      const limit = new RateLimit(move.database.copy.rateLimit);
      await writer.transaction(async () => {
        for (const table of await describeTables(snapshot.session, leaves)) {
          const range = { seq: 0, kind: 'whole', lo: null, hi: null, estimate: table.bytes } as const;
          await storePlan(writer, key, table, [range]);
          const copied = await copyRange(snapshot.session, writer, table, range, limit, () => undefined);
          await finishRange(writer, key, table, 0, copied);
        }
        await writer.run(
          `insert into godwit.copy_group (scope, seq, state, lsn) values ($1, $2, 'adopting', $3::pg_lsn)`,
          [key, seq, snapshot.lsn],
        );
        await addMembers(writer, key, seq, leaves);
      }, 'begin; set local synchronous_commit = on');
    } finally {
      await snapshot.session.close();
    }
  } finally {
    await writer.close();
  }
}

/** From the group's slot to the scope's. Answers how many tables it had. */
async function bring(move: DatabaseMove, sides: Sides, seq: number): Promise<number> {
  const { key } = move;
  const own = groupKey(key, seq);
  const names = scopeNames(key);
  const tables = await scopeTables(sides.target, key);
  const members = await membersOf(sides.target, key, seq, tables);
  const state = async (): Promise<string | undefined> =>
    (await groupsOf(sides.target, key)).find((group) => group.seq === seq)?.state;
  if ((await state()) === 'adopting') {
    await ensureSubscription(sides.target, move.database, own, 'source');
    await caughtUp(sides, own);
    await unsubscribe(sides, names.slot('source'));
    await faultPoint('adopt.unsubscribed');
    const leaves = replicatedTables(await scopeTables(sides.source, key));
    await patiently(sides.source, members, 'hand new partitions over to the slot of the migration', async () => {
      // Drained: no transaction has changes of these tables on both sides of the commit.
      await sides.source.batch(lockStatements(members, LOCK_TRY_MS));
      await publish(sides.source, key, leaves);
      await publish(sides.source, own, []);
    });
    await setState(sides.target, key, seq, 'handed-over');
    await faultPoint('adopt.handed-over');
  }
  if ((await state()) === 'handed-over') {
    await caughtUp(sides, own);
    await setState(sides.target, key, seq, 'merged');
    await faultPoint('adopt.merged');
  }
  await ensureSubscription(sides.target, move.database, key, 'source');
  await faultPoint('adopt.subscribed');
  await dropGroup(sides, key, seq);
  return members.length;
}

/**
 * Ends a subscription so that another one can go on from its slot without a change lost or applied twice: the slot is advanced
 * to the last commit that was applied, which the slot itself may not have heard of yet.
 */
async function unsubscribe({ source, target }: Sides, name: string): Promise<void> {
  const known = await target.row<{ oid: string }>(
    'select subid::text as oid from pg_stat_subscription where subname = $1 and relid is null limit 1',
    [name],
  );
  if (known === undefined || !(await stopSubscription(target, name))) return;
  const applied = await appliedUpTo(target, known.oid);
  if (applied !== null) {
    await released(source, name);
    await source.rows(
      `select pg_replication_slot_advance(slot_name, $2::pg_lsn) from pg_replication_slots
       where slot_name = $1 and confirmed_flush_lsn < $2::pg_lsn`,
      [name, applied],
    );
  }
  await target.transact(dropStatements(name));
}

/** Durable when it is answered. https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION */
async function appliedUpTo(target: Session, oid: string): Promise<string | null> {
  try {
    const row = await target.row<{ lsn: string | null }>(
      'select pg_replication_origin_progress($1, true)::text as lsn',
      [`pg_${oid}`],
    );
    return row?.lsn ?? null;
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    throw failure(
      'PermissionDenied',
      'this role may not ask how far a subscription has come, which taking new partitions along needs',
      'GRANT EXECUTE ON FUNCTION pg_replication_origin_progress(text, boolean) TO it on the target, then retry',
    );
  }
}

/** Until its walsender has noticed that nobody listens any more. */
async function released(source: Session, name: string): Promise<void> {
  for (;;) {
    const held = await source.row<{ pid: number }>(
      `select active_pid as pid, pg_terminate_backend(active_pid) from pg_replication_slots
       where slot_name = $1 and active_pid is not null`,
      [name],
    );
    if (held === undefined) return;
    cancellation().throwIfAborted();
  }
}
