/**
 * Rights that only some migrations need: those whose clients have both hosts in their URL, and those with partitioned tables.
 * Preflight has findings of its own for the first; the second are asked for when a partition comes.
 */
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove } from '../contract.js';
import { unloggedTables, type ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import type { Sides } from '../postgres/sides.js';
import { identifier, statement } from '../postgres/statements.js';
import { PARAMETER_BY_GRANT, scopeOf, type Right } from './rights.js';

const SPECIAL_RIGHTS = statement(import.meta.url, './sql/special_rights.sql');
const REPLICA_ROLE = statement(import.meta.url, './sql/replica_role.sql');
const TABLES_WITH_TRIGGERS = statement(import.meta.url, './sql/tables_with_triggers.sql');

interface Facts extends Record<string, unknown> {
  role: string;
  database: string;
  owner: string;
  ownerIsSuperuser: boolean;
  owns: boolean;
  signals: boolean;
  asksProgress: boolean;
  versionNumber: number;
}

export async function specialRights(
  sides: Sides,
  side: Primary,
  move: DatabaseMove,
  tables: ScopeTable[],
): Promise<Right[]> {
  const facts = await sides.of(side).row<Facts>(SPECIAL_RIGHTS);
  if (facts === undefined) return [];
  const multiHost = move.database.endpoints.some(({ kind }) => kind === 'multiHost');
  return [
    ...(multiHost ? multiHostRights(facts) : []),
    // Partitions are only ever taken along to the target.
    ...(side === 'target' && tables.some(({ kind }) => kind === 'p') ? [progressRight(facts)] : []),
    ...(await silenceRight(sides, side, facts, move, tables)),
  ];
}

function multiHostRights({ role, database, owner, ownerIsSuperuser, owns, signals }: Facts): Right[] {
  const why =
    'Only its owner sets default_transaction_read_only for the database, which drivers with both hosts go by.';
  const ownership = {
    what: `ownership of the database ${database}`,
    // Whoever is a member of a superuser is one.
    sql: ownerIsSuperuser
      ? `ALTER DATABASE ${identifier(database)} OWNER TO ${identifier(role)}`
      : `GRANT ${identifier(owner)} TO ${identifier(role)}`,
    why,
    held: owns,
    required: true,
  };
  return [
    ownership,
    {
      what: 'membership in pg_signal_backend',
      sql: `GRANT pg_signal_backend TO ${identifier(role)}`,
      why: 'Ends the sessions that stay on the old side after a switch.',
      held: signals,
      required: false,
    },
  ];
}

function progressRight({ role, asksProgress }: Facts): Right {
  return {
    what: 'EXECUTE on pg_replication_origin_progress',
    sql: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_progress(text, boolean) TO ${identifier(role)}`,
    why: 'Takes partitions along that are made while the migration runs.',
    held: asksProgress,
    required: false,
  };
}

/**
 * Rows are copied under the triggers of the application when these are there first: in a schema of one's own, in partitions
 * that come, and in unlogged tables at a switch, there and back.
 */
async function silenceRight(
  sides: Sides,
  side: Primary,
  { role, versionNumber }: Facts,
  move: DatabaseMove,
  tables: ScopeTable[],
): Promise<Right[]> {
  if (versionNumber < PARAMETER_BY_GRANT) return [];
  const existing = move.database.schema === 'existing';
  const copied = side === 'target' ? tables.filter(({ kind }) => existing || kind === 'p') : [];
  const [copying, carrying] = [
    await anyHasTriggers(sides.source, copied),
    await anyHasTriggers(sides.source, unloggedTables(tables)),
  ];
  if (!copying && !carrying) return [];
  const row = await sides.of(side).row<{ held: boolean }>(REPLICA_ROLE);
  const into = copying && !existing ? ' into partitions that are made while the migration runs' : '';
  return [
    {
      what: 'SET on session_replication_role',
      sql: `GRANT SET ON PARAMETER session_replication_role TO ${identifier(role)}`,
      why: `Keeps triggers and foreign keys silent while rows are copied${carrying ? ', those of unlogged tables at the switch, too' : into}.`,
      held: row?.held ?? false,
      required: carrying || existing,
    },
  ];
}

async function anyHasTriggers(source: Session, tables: ScopeTable[]): Promise<boolean> {
  if (tables.length === 0) return false;
  const seen = await source.row<{ count: number }>(TABLES_WITH_TRIGGERS, scopeOf(tables));
  return (seen?.count ?? 0) > 0;
}
