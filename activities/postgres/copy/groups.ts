/**
 * Sync groups. A group is the tables that were copied out of one snapshot, with the slot that belongs to it. When nobody holds
 * the snapshot of a copy any more, the tables that are whole by then stay: they become a group with a slot of its own, and
 * the rest begins a new one, so that a dead process never costs a table that was finished.
 *
 *     copy slot      the snapshot's slot, under the group's name: same position
 *     publications   the scope's gives the group's tables up, before the scope's next slot is made
 *     …              the rest is copied, and keys and indexes are built
 *     subscribe      to the group's slot: its tables catch up
 *     hand over      table by table, in one transaction of the source: its writers drained, the scope's publication takes it back,
 *                    the group's gives it up; so each change belongs to one of the two
 *     marker         of the group: all before the handing over is applied; then a synchronous commit, since seen isn't durable
 *     drop           the group; only now does the scope subscribe, so none of its changes can come before those of the group
 *
 * Tables that foreign keys or inheritance join stay in one group: a TRUNCATE of both that came by two ways would stop for ever.
 */
import { cancellation } from '../../activity-context.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import { lockStatements, patiently } from '../fence.js';
import { awaitMarker, insertMarker, markerTable } from '../marker.js';
import { groupKey, scopeNames } from '../names.js';
import { isBroken, slotOf } from '../replication/health.js';
import { publish, publishedTables } from '../replication/publication.js';
import { dropSlot } from '../replication/slot.js';
import { dropSubscription, ensureSubscription } from '../replication/subscription.js';
import { replicatedTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import type { Sides } from '../sides.js';
import { identifier, nameOf, statement, type TableName } from '../statements.js';
import type { SyncProgress } from './progress.js';
import { isSubscribed } from './sessions.js';

const JOINED_TABLES = statement(import.meta.url, '../sql/joined_tables.sql');

/** Between two looks at whether a group has caught up. */
const LOOK_MS = 1_000;
const LOCK_TRY_MS = 1_000;

export interface Group {
  seq: number;
  /** `planning`: its snapshot may be joined, but not read yet. `adopting`: partitions that came after the copy, see replication/partitions.ts. */
  state: 'planning' | 'live' | 'closing' | 'closed' | 'adopting' | 'handed-over' | 'merged';
  /** The slot's consistent point. */
  lsn: string | null;
  files: string;
}

/** Oldest first. */
export async function groupsOf(target: Session, key: string): Promise<Group[]> {
  return target.rows<Group & Record<string, unknown>>(
    'select seq, state, lsn::text as lsn, files from godwit.copy_group where scope = $1 order by seq',
    [key],
  );
}

/** The one whose rows are being copied, or are all there. */
export async function liveGroup(target: Session, key: string): Promise<Group | null> {
  return (await groupsOf(target, key)).find(({ state }) => state === 'live') ?? null;
}

/** The one whose snapshot is held, or was. */
export async function currentGroup(target: Session, key: string): Promise<Group | null> {
  return (await groupsOf(target, key)).find(({ state }) => isCurrent(state)) ?? null;
}

const isCurrent = (state: Group['state']): boolean => state === 'planning' || state === 'live';

/** Whether the scope's own subscription is there, and its slot still has what it will send: the copy has come to its end. */
export async function isFollowing({ source, target }: Sides, key: string): Promise<boolean> {
  return (await isSubscribed(target, key)) && !isBroken(await slotOf(source, key, 'source'));
}

/** Whether all rows of all tables are there, and belong to slots that are there. */
export async function rowsAreThere(sides: Sides, key: string): Promise<boolean> {
  const live = await liveGroup(sides.target, key);
  if (live === null) return false;
  const planned = await sides.target.row(
    `select from godwit.copy_range where scope = $1 and state = 'planned' limit 1`,
    [key],
  );
  if (planned !== undefined) return false;
  const slot = await slotOf(sides.source, key, 'source');
  return !isBroken(slot) && slot?.confirmedLsn === live.lsn;
}

/** Tables of the scope whose rows are replicated and that belong to no closed group. */
export async function tablesToCopy(target: Session, key: string, tables: ScopeTable[]): Promise<ScopeTable[]> {
  const closed = new Set(
    (
      await target.rows<TableName & Record<string, unknown>>(
        'select schema_name as schema, table_name as name from godwit.copy_group_table where scope = $1',
        [key],
      )
    ).map(nameOf),
  );
  return replicatedTables(tables).filter((table) => !closed.has(nameOf(table)));
}

/** Publication and marker of a new group: both must be there before its slot. Answers its number. */
export async function prepareGroup(sides: Sides, key: string, tables: ScopeTable[]): Promise<number> {
  const groups = await groupsOf(sides.target, key);
  const seq = Math.max(0, ...groups.filter(({ state }) => !isCurrent(state)).map((group) => group.seq)) + 1;
  for (const side of [sides.source, sides.target]) await side.run(markerTable(groupKey(key, seq)));
  await sides.source.transaction(() => publish(sides.source, groupKey(key, seq), tables));
  return seq;
}

/** The snapshot of this group is held: from now on copiers may join it, to read it once the group is live. */
export async function openGroup(target: Session, key: string, group: Omit<Group, 'state'>): Promise<void> {
  await target.run(
    `insert into godwit.copy_group (scope, seq, state, lsn, files) values ($1, $2, 'planning', $3::pg_lsn, $4)
     on conflict (scope, seq) do update
       set state = excluded.state, lsn = excluded.lsn, files = excluded.files, contended = false`,
    [key, group.seq, group.lsn, group.files],
  );
}

/**
 * Nobody holds the snapshot of the copy any more: its finished tables become a group of their own. Answers how many they are.
 * Whatever it was interrupted at, running it again completes it.
 */
export async function closeGroup(sides: Sides, key: string, tables: ScopeTable[]): Promise<number> {
  const { source, target } = sides;
  // What their changes came by, or would have, is no good any more: their rows are compared, as the rest is.
  for (const { seq, state } of await groupsOf(target, key)) {
    const lost = state === 'closed' && isBroken(await slotOf(source, groupKey(key, seq), 'source'));
    if (lost || state === 'adopting' || state === 'handed-over' || state === 'merged') await dropGroup(sides, key, seq);
  }
  const group = (await groupsOf(target, key)).find(({ state }) => isCurrent(state) || state === 'closing');
  if (group === undefined) return 0;
  const own = groupKey(key, group.seq);
  const slot = await slotOf(source, own, 'source');
  const main = await slotOf(source, key, 'source');
  const follows = !isBroken(main) && main?.confirmedLsn === group.lsn;
  if (group.state === 'closing' && slot === null && !follows) {
    // There is nothing any more that its tables could follow from: they are compared, as the rest is.
    await dropGroup(sides, key, group.seq);
    return 0;
  }
  if (isCurrent(group.state)) {
    const whole = follows && group.state === 'live' ? await wholeTables(sides, key, tables) : [];
    await target.transaction(async () => {
      if (whole.length > 0) {
        await addMembers(target, key, group.seq, whole);
        await target.run(`update godwit.copy_group set state = 'closing' where scope = $1 and seq = $2`, [
          key,
          group.seq,
        ]);
      } else await target.run('delete from godwit.copy_group where scope = $1 and seq = $2', [key, group.seq]);
      await target.run('delete from godwit.copy_snapshot where scope = $1', [key]);
    });
    if (whole.length === 0) return 0;
    await faultPoint('sync.closing');
  }
  if (slot === null) {
    await source.rows('select pg_copy_logical_replication_slot($1, $2)', [
      scopeNames(key).slot('source'),
      scopeNames(own).slot('source'),
    ]);
    await faultPoint('sync.slot-copied');
  }
  const members = await membersOf(target, key, group.seq, tables);
  const rest = await tablesToCopy(target, key, tables);
  await source.transaction(async () => {
    await publish(source, own, members);
    await publish(source, key, rest);
  });
  await faultPoint('sync.unpublished');
  await setState(target, key, group.seq, 'closed');
  return members.length;
}

/** Tables all of whose ranges are there, and of all tables that are joined to them. */
async function wholeTables({ source, target }: Sides, key: string, tables: ScopeTable[]): Promise<ScopeTable[]> {
  const rows = await target.rows<TableName & Record<string, unknown>>(
    `select schema_name as schema, table_name as name from godwit.copy_range where scope = $1
     group by 1, 2 having bool_and(state = 'done')`,
    [key],
  );
  const done = new Set(rows.map(nameOf));
  const joined = await source.rows<{ one: TableName; other: TableName }>(JOINED_TABLES, [JSON.stringify(tables)]);
  const candidates = await tablesToCopy(target, key, tables);
  const unfinished = new Set(candidates.map(nameOf).filter((name) => !done.has(name)));
  // What is joined to something unfinished is as good as unfinished.
  for (let before = -1; before !== unfinished.size;) {
    before = unfinished.size;
    for (const { one, other } of joined) {
      if (unfinished.has(nameOf(one)) || unfinished.has(nameOf(other))) {
        unfinished.add(nameOf(one));
        unfinished.add(nameOf(other));
      }
    }
  }
  return candidates.filter((table) => done.has(nameOf(table)) && !unfinished.has(nameOf(table)));
}

export async function addMembers(target: Session, key: string, seq: number, tables: ScopeTable[]): Promise<void> {
  await target.run(
    `insert into godwit.copy_group_table (scope, seq, schema_name, table_name)
     select $1, $2, t.schema, t.name from json_to_recordset($3::json) as t(schema text, name text)`,
    [key, seq, JSON.stringify(tables)],
  );
}

export async function membersOf(
  target: Session,
  key: string,
  seq: number,
  tables: ScopeTable[],
): Promise<ScopeTable[]> {
  const rows = await target.rows<TableName & Record<string, unknown>>(
    'select schema_name as schema, table_name as name from godwit.copy_group_table where scope = $1 and seq = $2',
    [key, seq],
  );
  const names = new Set(rows.map(nameOf));
  return tables.filter((table) => names.has(nameOf(table)));
}

export async function setState(target: Session, key: string, seq: number, state: Group['state']): Promise<void> {
  await target.transaction(
    () => target.run('update godwit.copy_group set state = $3 where scope = $1 and seq = $2', [key, seq, state]),
    'begin; set local synchronous_commit = on',
  );
}

/** Brings the tables of all closed groups to the scope's own slot. After it the scope has one group, whose subscription can be made. */
export async function mergeGroups(
  move: DatabaseMove,
  sides: Sides,
  tables: ScopeTable[],
  progress: SyncProgress,
): Promise<void> {
  for (const { seq, state } of await groupsOf(sides.target, move.key)) {
    if (state === 'live') continue;
    const members = await membersOf(sides.target, move.key, seq, tables);
    progress.begin('tables', members.length, 'bringing tables of an earlier snapshot up to date');
    if (state === 'closed') await handOver(move, sides, seq, members, tables, progress);
    if (state !== 'merged') {
      await caughtUp(sides, groupKey(move.key, seq));
      await setState(sides.target, move.key, seq, 'merged');
      await faultPoint('sync.merged');
    }
    await dropGroup(sides, move.key, seq);
  }
  // Of the group that is left: its tables are the scope's, and so is its slot.
  const live = await liveGroup(sides.target, move.key);
  if (live !== null) await dropNames(sides, groupKey(move.key, live.seq));
}

async function handOver(
  move: DatabaseMove,
  sides: Sides,
  seq: number,
  members: ScopeTable[],
  tables: ScopeTable[],
  progress: SyncProgress,
): Promise<void> {
  const { key } = move;
  const own = groupKey(key, seq);
  await ensureSubscription(sides.target, move.database, own, 'source');
  await caughtUp(sides, own);
  // What an interrupted run has handed over already stays where it is.
  const published = await publishedTables(sides.source, key);
  let taken = tables.filter((table) => table.kind === 'r' && published.has(nameOf(table)));
  let left = members.filter((table) => !published.has(nameOf(table)));
  for (const table of left) {
    left = left.filter((one) => one !== table);
    taken = [...taken, table];
    await patiently(sides.source, [table], `hand ${table.schema}.${table.name} over to the scope's slot`, async () => {
      // Drained: no transaction has changes of this table on both sides of the commit.
      await sides.source.batch(lockStatements([table], LOCK_TRY_MS));
      await publish(sides.source, key, taken);
      await publish(sides.source, own, left);
    });
    await faultPoint('sync.table-handed-over');
    progress.done += 1;
  }
  await setState(sides.target, key, seq, 'handed-over');
  await faultPoint('sync.handed-over');
}

/** Until all that the source has committed so far is applied. Looked at for as long as it takes: a group has hours to catch up with. */
export async function caughtUp({ source, target }: Sides, own: string): Promise<void> {
  const marker = await insertMarker(source, own);
  while ((await awaitMarker(target, own, marker, LOOK_MS, cancellation())) === null) {
    const slot = await slotOf(source, own, 'source');
    if (!isBroken(slot)) continue;
    throw failure(
      'ReplicationBroken',
      `replication slot ${scopeNames(own).slot('source')} is gone or has lost WAL: changes of the tables copied before can't be had any more`,
      'Abort, and start again',
    );
  }
}

export async function dropGroup(sides: Sides, key: string, seq: number): Promise<void> {
  const own = groupKey(key, seq);
  await dropSubscription(sides.target, scopeNames(own).slot('source'));
  await dropSlot(sides.source, scopeNames(own).slot('source'));
  await dropNames(sides, own);
  await sides.target.transaction(async () => {
    for (const table of ['copy_group', 'copy_group_table']) {
      await sides.target.run(`delete from godwit.${table} where scope = $1 and seq = $2`, [key, seq]);
    }
  });
}

async function dropNames({ source, target }: Sides, own: string): Promise<void> {
  const { publication, marker } = scopeNames(own);
  await source.run(`drop publication if exists ${identifier(publication)}`);
  for (const side of [source, target]) await side.run(`drop table if exists godwit.${identifier(marker)}`);
}

/** Takes away what groups have left on one side; for undo, which may find them in any state. */
export async function dropGroupsOn(session: Session, key: string): Promise<void> {
  const own = `^godwit_${key}_[0-9]+`;
  for (const { name } of await session.rows<{ name: string }>(
    `select subname as name from pg_subscription where subname ~ $1
     and subdbid = (select oid from pg_database where datname = current_database())`,
    [own],
  )) {
    await dropSubscription(session, name);
  }
  for (const { name } of await session.rows<{ name: string }>(
    'select slot_name as name from pg_replication_slots where slot_name ~ $1',
    [own],
  )) {
    await dropSlot(session, name);
  }
  for (const { name } of await session.rows<{ name: string }>(
    'select pubname as name from pg_publication where pubname ~ $1',
    [own],
  )) {
    await session.run(`drop publication if exists ${identifier(name)}`);
  }
  for (const { name } of await session.rows<{ name: string }>(
    `select relname as name from pg_class where relnamespace = to_regnamespace('godwit') and relkind = 'r' and relname ~ $1`,
    [`^marker_${key}_[0-9]+$`],
  )) {
    await session.run(`drop table if exists godwit.${identifier(name)}`);
  }
}
