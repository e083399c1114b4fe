/** The target's schema: copied from the source, or made by the user's own tool and compared. */
import type { DatabaseMove } from '../../contract.js';
import { heartbeat } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { requireSourcePrimary } from '../authority.js';
import { sqlState } from '../errors.js';
import { fenceNewTables } from '../fence.js';
import { lowerHint, raiseHint } from '../multi-host.js';
import { scopeTables, type ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { bothSides, type Sides } from '../sides.js';
import { statement, type TableName } from '../statements.js';
import { compareTables, tablesWithRows } from './compare.js';
import { dropCreated, recording } from './created.js';
import { deferEntries } from './deferred.js';
import { dumpSchema, type DumpEntry } from './dump.js';
import { emptyTables } from './empty.js';
import { selectEntries } from './selection.js';
import { carrySettings, dropSettings } from './settings.js';

const SYNC = statement(import.meta.url, '../sql/sync.sql');

/** Differences named in an error; the rest is counted. */
const NAMED_DIFFERENCES = 20;

/**
 * Copies or compares the schema; answers how many objects were created. Keys, indexes and triggers of a copied schema
 * wait for the rows: `initialSync` makes them.
 * Fails with `TargetNotEmpty`, `SchemaMismatch`, `UnsupportedTable`, or `PreflightFailed` without a pg_dump.
 */
export async function prepareSchema(move: DatabaseMove): Promise<{ created: number }> {
  await using sides = await bothSides(move, 'schema');
  const tables = await scopeTables(sides.source, move.key);
  if (tables.length === 0) {
    throw failure(
      'AuthorityLost',
      'this migration holds no tables of the source',
      'Run replicationSetup from its start',
    );
  }
  await prepareSyncTables(sides.target);
  await raiseHint(sides, move);
  const created = await createdCount(sides.target, move.key);
  if (created > 0) return { created };
  return move.database.schema === 'copy'
    ? await copySchema(move, sides, tables)
    : await compareSchema(move, sides, tables);
}

/** Makes the tables that keep progress, on the target. */
export async function prepareSyncTables(target: Session): Promise<void> {
  await target.transaction(async () => {
    await target.rows(`select pg_advisory_xact_lock(hashtextextended('godwit schema', 0))`);
    await target.run(SYNC);
  });
}

async function createdCount(target: Session, key: string): Promise<number> {
  const row = await target.row<{ created: string }>(
    `select count(*) as created from godwit.created_object where scope = $1 and undo = 'drop'`,
    [key],
  );
  return Number(row?.created ?? 0);
}

async function copySchema(move: DatabaseMove, sides: Sides, tables: ScopeTable[]): Promise<{ created: number }> {
  const { source, target } = sides;
  await requireAbsent(target, tables);
  const version = await source.row<{ major: number }>(
    `select current_setting('server_version_num')::int / 10000 as major`,
  );
  const dump = await dumpSchema(move.database.source, version?.major ?? 0, await unreadable(source, tables));
  const selected = await selectEntries(dump, source, target, tables);
  let created = 0;
  await target.transaction(async () => {
    // The authority row: two runs at once take turns, and the second one finds what the first has made.
    await target.row('select from godwit.authority where scope = $1 for update', [move.key]);
    created = await createdCount(target, move.key);
    if (created > 0) return;
    await target.run('set local check_function_bodies = off');
    created = await recording(target, move.key, () => restore(target, selected.before));
    await carrySettings(source, target, move.key);
    await deferEntries(source, target, move.key, selected);
    const differences = (await compareTables(source, target, tables)).filter(
      (line) => !/: (primary key|replica identity) is /.test(line),
    );
    if (differences.length > 0) throw mismatch(differences);
    await fenceNewTables(target, move.key, tables);
  });
  return { created };
}

/** Tables out of scope that this role may not lock. */
async function unreadable(source: Session, tables: ScopeTable[]): Promise<TableName[]> {
  return source.rows<TableName & Record<string, unknown>>(
    `select n.nspname as schema, c.relname as name
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     left join json_to_recordset($1::json) as t(schema text, name text) on t.schema = n.nspname and t.name = c.relname
     where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and t.name is null
       and n.nspname not in ('information_schema', 'godwit') and n.nspname !~ '^pg_'
       and not (has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE'))
     order by 1, 2`,
    [JSON.stringify(tables)],
  );
}

async function requireAbsent(target: Session, tables: ScopeTable[]): Promise<void> {
  const found = await target.rows<{ name: string }>(
    `select format('%s.%s', t.schema, t.name) as name
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name order by 1`,
    [JSON.stringify(tables)],
  );
  if (found.length === 0) return;
  const names = found.slice(0, NAMED_DIFFERENCES).map((table) => table.name);
  throw failure(
    'TargetNotEmpty',
    `the target has ${found.length} of the tables already: ${names.join(', ')}`,
    'Drop them there, or set schema: existing to use them as they are; nothing was changed',
  );
}

async function restore(target: Session, entries: DumpEntry[]): Promise<void> {
  for (const entry of entries) {
    if (entry.statement === '') continue;
    try {
      await target.run(entry.statement);
    } catch (error) {
      const what = `${entry.type.toLowerCase()} ${entry.schema === '' ? '' : `${entry.schema}.`}${entry.name}`;
      if (sqlState(error) === undefined) throw error;
      const reason = error instanceof Error ? error.message : 'unknown';
      const type = sqlState(error) === '42501' ? 'PermissionDenied' : 'SchemaMismatch';
      throw failure(type, `the target refuses ${what} of the source: ${reason}`, 'Nothing was created there');
    }
    heartbeat();
  }
}

async function compareSchema(move: DatabaseMove, sides: Sides, tables: ScopeTable[]): Promise<{ created: number }> {
  const differences = await compareTables(sides.source, sides.target, tables);
  if (differences.length > 0) throw mismatch(differences);
  const filling = await sides.target.row(
    `select from godwit.created_object where scope = $1 and undo = 'empty' limit 1`,
    [move.key],
  );
  if (filling === undefined) await requireEmpty(sides.target, tables);
  return { created: 0 };
}

/** Fails with `TargetNotEmpty`, naming the tables that hold rows. */
export async function requireEmpty(target: Session, tables: ScopeTable[]): Promise<void> {
  const filled = await tablesWithRows(target, tables);
  if (filled.length === 0) return;
  throw failure(
    'TargetNotEmpty',
    `tables of the target hold rows: ${filled.slice(0, NAMED_DIFFERENCES).join(', ')}`,
    'Empty them there if those rows may go; nothing was changed',
  );
}

function mismatch(differences: string[]): Error {
  const named = differences.slice(0, NAMED_DIFFERENCES).join('; ');
  const rest = differences.length - NAMED_DIFFERENCES;
  return failure(
    'SchemaMismatch',
    `the target's tables differ from the source's: ${named}${rest > 0 ? `; and ${rest} more` : ''}`,
    'Make them alike on either side, then retry; nothing was changed',
  );
}

/** Drops exactly what was created; tables that were there before are emptied of the rows that were copied. */
export async function undoSchema(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'undo-schema');
  await requireSourcePrimary(sides, move.key);
  await dropSchema(sides.target, move);
  // Last: until here drivers would find tables there that are half copied, and no fence before them.
  await lowerHint(sides, move);
}

async function dropSchema(target: Session, move: DatabaseMove): Promise<void> {
  const known = await target.row<{ known: boolean }>(
    `select to_regclass('godwit.created_object') is not null as known`,
  );
  if (!known?.known) return;
  await emptyFilled(target, move.key);
  await dropCreated(target, move.key);
  await dropSettings(target, move.key);
  for (const table of ['deferred_ddl', 'copy_snapshot', 'copy_group_table', 'copy_group', 'copy_range', 'copy_run']) {
    await target.run(`delete from godwit.${table} where scope = $1`, [move.key]);
  }
}

/** Tables that `initialSync` found empty and filled. */
async function emptyFilled(target: Session, key: string): Promise<void> {
  const tables = await target.rows<ScopeTable & Record<string, unknown>>(
    `select n.nspname as schema, c.relname as name, c.relkind as kind
     from godwit.created_object o join pg_class c on c.oid = o.object join pg_namespace n on n.oid = c.relnamespace
     where o.scope = $1 and o.undo = 'empty' order by 1, 2`,
    [key],
  );
  await target.transaction(async () => {
    await emptyTables(target, tables);
    await target.run(`delete from godwit.created_object where scope = $1 and undo = 'empty'`, [key]);
  });
}
