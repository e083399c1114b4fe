/** One publication of the same name on both sides: the source's now, the target's for the way back. */
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { sqlState } from '../errors.js';
import { scopeNames, SCHEMA } from '../names.js';
import {
  filtered,
  type FilteredTable,
  keepFilters,
  publishedFilters,
  publishedTable,
  requireRowFilters,
} from '../row-filter.js';
import { replicatedTables, scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { bothSides } from '../sides.js';
import { identifier, nameOf, type TableName } from '../statements.js';
import { isSubscribed } from '../copy/sessions.js';
import { onEachSide, requireWriterIsSource } from './each-side.js';
import { requireLink } from './link.js';

/** Invalid object definition, feature not supported, invalid column reference. */
const NOT_A_FILTER = new Set(['42P17', '0A000', '42P10']);

/**
 * Publishes every table of the scope whose rows are replicated, and the marker, and proves that the target's server reaches them. Leaf partitions rather than their roots, so that
 * both sides speak of the same tables whatever attaches and detaches. Must come before the slot: decoding looks the
 * publication up as of the change ("publication does not exist", for ever, the other way round).
 */
export async function createPublication(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'publication');
  for (const side of [sides.source, sides.target]) await ensurePublication(side, move.key);
  // Not at the end of the copy, hours later; the way back is proven by every attempt to switch.
  if (!(await isSubscribed(sides.target, move.key))) await requireLink(sides.target, move, 'source');
  // Before version 15 the catalog has no place for one.
  if (filtered(await scopeTables(sides.source, move.key)).length === 0) return;
  const filters = await publishedFilters(sides.source, move.key);
  for (const side of [sides.source, sides.target]) await keepFilters(side, move.key, filters);
}

async function ensurePublication(session: Session, key: string): Promise<void> {
  const isSource = session.side === 'source';
  const tables = await scopeTables(session, key);
  const leaves = replicatedTables(tables);
  if (tables.length === 0) {
    throw failure(
      'AuthorityLost',
      `this migration holds no tables of the ${session.side}`,
      'Run replicationSetup from its start',
    );
  }
  // All that is written on the target flows back: what a filter would hold back there would be lost on the way back.
  const published = isSource ? leaves : leaves.map((table) => ({ ...table, rowFilter: null }));
  await session.transaction(async () => {
    if (isSource) await requireRowFilters(session, leaves);
    await publish(session, key, published);
  });
}

/**
 * Makes the publication of a scope, or of one of its sync groups, hold these tables and its marker; for a transaction.
 * @param key of the scope, or `groupKey`
 */
export async function publish(session: Session, key: string, tables: ScopeTable[]): Promise<void> {
  const names = scopeNames(key);
  const marker: ScopeTable = { schema: SCHEMA, name: names.marker, kind: 'r' };
  const wanted = [...tables, marker];
  const list = wanted.map(publishedTable).join(', ');
  const known = await session.row('select from pg_publication where pubname = $1', [names.publication]);
  if (known === undefined) {
    await explained(filtered(tables), () =>
      session.run(
        `create publication ${identifier(names.publication)} for table ${list}
         with (publish = 'insert, update, delete, truncate', publish_via_partition_root = false)`,
      ),
    );
    return;
  }
  const same = await publishedTables(session, key);
  if (same.size === wanted.length && wanted.every((table) => same.has(nameOf(table)))) return;
  await session.run(`alter publication ${identifier(names.publication)} set table ${list}`);
}

/** What a publication's WHERE may not hold: subqueries, functions of users, anything that isn't immutable. */
async function explained(filters: FilteredTable[], create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (filters.length === 0 || !NOT_A_FILTER.has(sqlState(error) ?? '')) throw error;
    const conditions = filters.map((table) => `${table.schema}.${table.name}: ${table.rowFilter}`).join('; ');
    throw failure(
      'InvalidSpec',
      `Postgres refuses a row filter (${conditions}): ${error instanceof Error ? error.message : 'for no reason it told'}`,
      'Write a condition of columns, constants and built-in immutable functions in tables.rowFilters; nothing was changed',
    );
  }
}

/**
 * Drops it on both sides; one that can't be reached doesn't keep the other from being cleaned.
 * Fails with `AuthorityLost` while writes go to the target: the way back stands on it.
 */
export async function undoPublication(move: DatabaseMove): Promise<void> {
  await onEachSide(move, 'undo-publication', async (session, side) => {
    await requireWriterIsSource(session, side, move.key);
    await session.run(`drop publication if exists ${identifier(scopeNames(move.key).publication)}`);
  });
}

/** By `nameOf`. */
export async function publishedTables(session: Session, key: string): Promise<Set<string>> {
  const rows = await session.rows<TableName & Record<string, unknown>>(
    'select schemaname as schema, tablename as name from pg_publication_tables where pubname = $1',
    [scopeNames(key).publication],
  );
  return new Set(rows.map(nameOf));
}
