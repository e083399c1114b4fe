/** Which entries of a dump the target gets: all but tables out of scope, what stands on them, and what is there already. */
import { failure } from '../../failure.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';
import type { DumpEntry, SchemaDump } from './dump.js';

const LEFT_OUT = statement(import.meta.url, '../sql/left_out.sql');
const OBJECTS = statement(import.meta.url, '../sql/objects.sql');
const ROLES = statement(import.meta.url, '../sql/roles_of_objects.sql');

/** One object of a database, by catalog and OID and by name. */
export interface DatabaseObject {
  class: string;
  object: string;
  type: string;
  identity: string;
  /** Made and dropped together with another one. */
  part: boolean;
}

export async function objectsOf(session: Session): Promise<DatabaseObject[]> {
  return session.rows<DatabaseObject & Record<string, unknown>>(OBJECTS);
}

const keyOf = (object: { class: string; object: string }): string => `${object.class}/${object.object}`;

/** Logical replication never carries these, and undoing them isn't dropping something. */
const NEVER = new Set([
  'USER MAPPING',
  'SERVER',
  'FOREIGN DATA WRAPPER',
  'FOREIGN TABLE',
  'DATABASE',
  'DATABASE PROPERTIES',
]);

/**
 * The entries to run on the target, in their order.
 * Fails with `UnsupportedTable` when a table in scope can't stand without one that was left out, and with
 * `SchemaMismatch` when roles are missing on the target.
 */
export async function selectEntries(
  dump: SchemaDump,
  source: Session,
  target: Session,
  tables: ScopeTable[],
): Promise<SchemaDump> {
  const leftOut = await leftOutOf(source, tables);
  const present = new Set((await objectsOf(target)).map(nameOf));
  const there = new Set((await objectsOf(source)).filter((object) => present.has(nameOf(object))).map(keyOf));

  const withEventTriggers = await isSuperuser(target);
  const all = [...dump.before, ...dump.after];
  const known = new Map(all.map((entry) => [entry.id, entry]));
  const taken = new Set<number>();
  // Entries without an object of their own (COMMENT, ACL, ATTACH) go with what they are about.
  for (const entry of [...all.filter((one) => one.class !== '0'), ...all.filter((one) => one.class === '0')]) {
    if (NEVER.has(entry.type)) continue;
    if (entry.type === 'EVENT TRIGGER' && !withEventTriggers) continue;
    // Extensions come with their own comments, which only their owner may change.
    if (entry.type === 'COMMENT' && entry.name.startsWith('EXTENSION ')) continue;
    const goesWith = entry.dependsOn.filter((id) => known.has(id));
    const own = entry.class !== '0' && !leftOut.has(keyOf(entry)) && !there.has(keyOf(entry));
    const follows = goesWith.length > 0 && goesWith.every((id) => taken.has(id));
    // Default privileges vanish with a schema of ours; global ones would outlive an undo.
    if (entry.type === 'DEFAULT ACL' ? follows : entry.class === '0' ? follows : own) taken.add(entry.id);
  }
  const selected = { before: dump.before.filter(isIn(taken)), after: dump.after.filter(isIn(taken)) };
  return withRolesOf(selected, source, target);
}

async function isSuperuser(session: Session): Promise<boolean> {
  const role = await session.row<{ super: boolean }>(
    'select rolsuper as super from pg_roles where rolname = current_user',
  );
  return role?.super ?? false;
}

const nameOf = (object: DatabaseObject): string => `${object.type} ${object.identity}`;
const isIn =
  (ids: Set<number>) =>
  (entry: DumpEntry): boolean =>
    ids.has(entry.id);

/** What the target doesn't get. Fails with `UnsupportedTable` when a table in scope can't stand without it. */
export async function leftOutOf(source: Session, tables: ScopeTable[]): Promise<Set<string>> {
  const rows = await source.rows<{ class: string; object: string; needed_by: string | null }>(LEFT_OUT, [
    JSON.stringify(tables),
  ]);
  const stuck = [...new Set(rows.flatMap((row) => row.needed_by ?? []))].sort();
  if (stuck.length > 0) {
    throw failure(
      'UnsupportedTable',
      `${stuck.join(', ')} can't stand without tables that were left out (their parent, a sequence or a row type)`,
      'Include those in tables.include as well, or leave these out; nothing was changed',
    );
  }
  return new Set(rows.map(keyOf));
}

/**
 * Owners and grants need their roles on the target. A superuser that the target lacks is left out: managed servers
 * have none of that name, and what it owned then belongs to the role that Godwit connects as. So is one that is there, as an
 * owner, if that role may not act as it.
 */
async function withRolesOf(selected: SchemaDump, source: Session, target: Session): Promise<SchemaDump> {
  const entries = [...selected.before, ...selected.after];
  const objects = new Set(entries.map(keyOf));
  const used = (await source.rows<{ name: string; super: boolean; class: string; object: string }>(ROLES)).filter(
    (role) => role.super || objects.has(keyOf(role)),
  );
  const there = new Set(
    (await target.rows<{ name: string }>('select rolname as name from pg_roles')).map((r) => r.name),
  );
  const missing = used.filter((role) => !there.has(role.name));
  const needed = [...new Set(missing.filter((role) => !role.super).map((role) => role.name))].sort();
  if (needed.length > 0) {
    throw failure(
      'SchemaMismatch',
      `the target lacks roles that own or may use what is to be copied: ${needed.join(', ')}`,
      `Create them there, for instance with "create role ${needed[0] ?? ''}"; nothing was changed`,
    );
  }
  const absent = new Set(missing.map((role) => role.name));
  const out = new Set([...absent, ...(await superusersOutOfReach(target))]);
  const without = (entry: DumpEntry): DumpEntry => ({
    ...entry,
    statement: asRoles(withoutRoles(entry, isAccess(entry) ? absent : out)),
  });
  return { before: selected.before.map(without), after: selected.after.map(without) };
}

const isAccess = (entry: DumpEntry): boolean => entry.type === 'ACL' || entry.type === 'DEFAULT ACL';

/** Roles that no plain role may give something to. */
async function superusersOutOfReach(target: Session): Promise<string[]> {
  const rows = await target.rows<{ name: string }>(
    `select rolname as name from pg_roles where rolsuper and not pg_has_role(oid, 'member')`,
  );
  return rows.map(({ name }) => name);
}

/** What somebody else has granted, pg_restore grants as them: superusers alone change who a session is, members become roles. */
function asRoles(text: string): string {
  return text
    .replaceAll(/^SET SESSION AUTHORIZATION (.*);$/gm, 'SET LOCAL ROLE $1;')
    .replaceAll(/^RESET SESSION AUTHORIZATION;$/gm, 'RESET ROLE;');
}

/** pg_restore writes owners and grants one a line, the owner's last. */
function withoutRoles(entry: DumpEntry, roles: Set<string>): string {
  const lines = entry.statement.split('\n');
  const named = (line: string): string =>
    (/ (?:OWNER TO|TO|FROM) ("(?:[^"]|"")+"|[^ ;"]+)(?: WITH GRANT OPTION)?;$/.exec(line)?.[1] ?? '')
      .replace(/^"(.*)"$/, '$1')
      .replaceAll('""', '"');
  if (isAccess(entry)) {
    return lines.filter((line) => !roles.has(named(line))).join('\n');
  }
  const last = lines.at(-1) ?? '';
  const isOwner = last.startsWith('ALTER ') && last.includes(' OWNER TO ');
  return isOwner && roles.has(named(last)) ? lines.slice(0, -1).join('\n') : entry.statement;
}
