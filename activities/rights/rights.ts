/**
 * Every right that a role without superuser needs, on one side, each with the statement that gives it. Preflight names those
 * that are missing; `godwit plan --grants` prints them all.
 */
import type { Grant, Platform } from '../../spec/grants.js';
import type { DatabaseMove } from '../contract.js';
import type { ScopeTable } from '../postgres/scope.js';
import { leftOutOf } from '../postgres/schema/selection.js';
import type { Session } from '../postgres/session.js';
import { identifier, literal, statement } from '../postgres/statements.js';
import { platformOf, WAYS } from './platform.js';

const RIGHTS = statement(import.meta.url, './sql/rights.sql');
const COPIED_ROLES = statement(import.meta.url, './sql/copied_roles.sql');
const EXTENSIONS_OF_SUPERUSERS = statement(import.meta.url, './sql/extensions_of_superusers.sql');
const OWNERS_IN_SCHEMAS = statement(import.meta.url, './sql/owners_in_schemas.sql');
const SCHEMAS_THERE = statement(import.meta.url, './sql/schemas_there.sql');

/** Since this version a subscription can be made by members of pg_create_subscription, and apply acts as a table's owner. */
const SUBSCRIPTION_BY_GRANT = 160_000;
/** Since this version a parameter of superusers can be granted. */
export const PARAMETER_BY_GRANT = 150_000;

interface Owner {
  name: string;
  superuser: boolean;
  held: boolean;
  /** A few of what it owns. */
  objects: string[];
}

interface Facts {
  role: string;
  database: string;
  version: string;
  versionNumber: number;
  superuser: boolean;
  replication: boolean;
  subscription: boolean;
  /** A member of what a provider calls its superuser. */
  administrator: boolean;
  createInDatabase: boolean;
  statistics: boolean;
  signalAutovacuum: boolean | null;
  platforms: { rds: boolean; aurora: boolean; cloudsql: boolean };
  walLevel: string;
  owners: Owner[];
  schemas: { name: string; held: boolean }[];
  /** Whether row security keeps rows from the role; null where no table has it forced. */
  rowsHidden: boolean | null;
  /** Owners of tables whose row security is forced upon them. */
  forcedOwners: { name: string; bypass: boolean }[];
}

export interface Right extends Grant {
  /** As a person would name it. */
  what: string;
  /** Without it a migration stops, now or later; otherwise something is merely better with it. */
  required: boolean;
}

export interface SideRights {
  facts: Facts;
  platform: Platform;
  rights: Right[];
  /** What no statement can give. */
  impossible: string[];
}

/**
 * @param follower role that the other server connects as; null: the same
 * @param platform what the administrator says; null: as the server shows
 */
export async function rightsOn(
  session: Session,
  tables: ScopeTable[],
  follower: string | null,
  platform: Platform | null,
): Promise<SideRights | null> {
  const facts = await session.row<Facts & Record<string, unknown>>(RIGHTS, scopeOf(tables));
  if (facts === undefined) return null;
  const on = platform ?? platformOf(facts.platforms);
  const parameters = await parametersHeld(session, facts);
  const { rights, impossible } = judge(facts, on, parameters);
  const following =
    follower === null || follower === facts.role ? [] : await followerRights(session, facts, follower, on);
  return { facts, platform: on, rights: [...rights, ...following], impossible };
}

/** Where the servers reach each other by a login of its own. */
async function followerRights(session: Session, facts: Facts, follower: string, platform: Platform): Promise<Right[]> {
  const seen = await session.row<{ replication: boolean; ends: boolean }>(
    `select coalesce((
       select r.rolsuper or r.rolreplication or coalesce((
         select pg_has_role(r.oid, g.oid, 'member') from pg_catalog.pg_roles g where g.rolname = 'rds_replication'), false)
       from pg_catalog.pg_roles r where r.rolname = $1), false) as replication,
       pg_has_role('pg_signal_backend', 'usage') as ends`,
    [follower],
  );
  return [
    {
      what: `REPLICATION for ${follower}`,
      sql: WAYS[platform].replication(identifier(follower)),
      why: 'The other server streams from this one as that role.',
      held: seen?.replication ?? false,
      required: true,
    },
    {
      what: 'membership in pg_signal_backend',
      sql: `GRANT pg_signal_backend TO ${identifier(facts.role)}`,
      why: `Ends what ${follower} streams before its slot is dropped.`,
      held: seen?.ends ?? false,
      required: true,
    },
  ];
}

export const scopeOf = (tables: ScopeTable[]): [string[], string[]] => [
  tables.map((table) => table.schema),
  tables.map((table) => table.name),
];

/** So that the statement that holds a password can keep itself out of the server's log. */
const LOGGING = ['log_statement', 'log_min_duration_statement', 'log_min_error_statement'];

async function parametersHeld(session: Session, { versionNumber }: Facts): Promise<boolean | null> {
  if (versionNumber < PARAMETER_BY_GRANT) return null;
  const row = await session.row<{ held: boolean }>(
    `select bool_and(has_parameter_privilege(name, 'SET')) as held from unnest($1::text[]) as name`,
    [LOGGING],
  );
  return row?.held ?? false;
}

function judge(
  facts: Facts,
  platform: Platform,
  parameters: boolean | null,
): Pick<SideRights, 'rights' | 'impossible'> {
  const role = identifier(facts.role);
  const ways = WAYS[platform];
  const impossible: string[] = [];
  const rights: Right[] = [
    {
      what: 'REPLICATION',
      sql: ways.replication(role),
      why: 'Makes the slots that changes leave this side by, and streams from them.',
      held: facts.replication,
      required: true,
    },
    {
      what: `CREATE on the database ${facts.database}`,
      sql: `GRANT CREATE ON DATABASE ${identifier(facts.database)} TO ${role}`,
      why: 'The schema godwit, the publication and the subscription are made in it.',
      held: facts.createInDatabase,
      required: true,
    },
    ...schemaRights(facts, role),
  ];
  for (const owner of facts.owners) {
    if (owner.superuser && !facts.superuser) {
      const names = owner.objects.join(', ');
      impossible.push(
        `${names} belong to the superuser ${owner.name}, and a member of it would be one, too: give them to another role, ` +
          `such as with REASSIGN OWNED or ${owner.objects.some((name) => name.includes('.')) ? `ALTER TABLE ${owner.objects[0] ?? ''} OWNER TO …` : 'ALTER … OWNER TO …'}`,
      );
      continue;
    }
    rights.push(membership(facts, owner.name, owner.held, 'owns tables in scope'));
  }
  const subscribing = subscriptionRight(facts, platform);
  if (typeof subscribing === 'string') impossible.push(subscribing);
  else rights.push(subscribing);
  if (facts.rowsHidden !== null) rights.push(ownBypass(facts, !facts.rowsHidden));
  for (const owner of facts.versionNumber >= SUBSCRIPTION_BY_GRANT ? facts.forcedOwners : []) {
    rights.push(bypass(owner.name, owner.bypass));
  }
  rights.push({
    what: 'membership in pg_read_all_stats',
    sql: `GRANT pg_read_all_stats TO ${role}`,
    why: 'Shows who is in the way, and whether standbys know of the switch.',
    held: facts.statistics,
    required: false,
  });
  if (facts.signalAutovacuum !== null) {
    rights.push({
      what: 'membership in pg_signal_autovacuum_worker',
      sql: `GRANT pg_signal_autovacuum_worker TO ${role}`,
      why: 'Ends an autovacuum that is in the way at once; otherwise it yields after a second.',
      held: facts.signalAutovacuum,
      required: false,
    });
  }
  if (parameters !== null && ways.superusers) {
    rights.push({
      what: `SET on ${LOGGING.join(', ')}`,
      sql: `GRANT SET ON PARAMETER ${LOGGING.join(', ')} TO ${role}`,
      why: 'Keeps CREATE SUBSCRIPTION, which holds a password, out of a log that has all statements.',
      held: parameters,
      required: false,
    });
  }
  return { rights, impossible };
}

/** Who owns may use; a member of the owner need not. */
function schemaRights(facts: Facts, role: string): Right[] {
  return facts.schemas.map((schema) => ({
    what: `USAGE on the schema ${schema.name}`,
    sql: `GRANT USAGE ON SCHEMA ${identifier(schema.name)} TO ${role}`,
    why: 'Nobody finds a table in a schema without it.',
    held: schema.held,
    required: true,
  }));
}

function membership(facts: Facts, owner: string, held: boolean, because: string): Right {
  const names = `${identifier(owner)} TO ${identifier(facts.role)}`;
  const since16 = facts.versionNumber >= SUBSCRIPTION_BY_GRANT;
  return {
    what: `membership in ${owner}, who ${because}`,
    // Without INHERIT a member has none of the owner's rights of its own accord, and without SET apply can't act as the owner.
    sql: since16 ? `GRANT ${names} WITH INHERIT TRUE, SET TRUE` : `GRANT ${names}`,
    why: `${owner} ${because}; what is done to it takes its rights.`,
    held,
    required: true,
  };
}

function ownBypass({ role }: Facts, held: boolean): Right {
  return {
    what: 'BYPASSRLS, since row security is forced upon members of the owner, too',
    sql: `ALTER ROLE ${identifier(role)} BYPASSRLS`,
    why: 'Copy and comparison have to see all rows.',
    held,
    required: true,
  };
}

function bypass(owner: string, held: boolean): Right {
  return {
    what: `BYPASSRLS for ${owner}, upon whom row security is forced`,
    sql: `ALTER ROLE ${identifier(owner)} BYPASSRLS`,
    why: 'Applied changes act as the owner of a table, and Postgres applies none under row security.',
    held,
    required: true,
  };
}

function subscriptionRight(facts: Facts, platform: Platform): Right | string {
  const role = identifier(facts.role);
  const shared = {
    why: 'Makes the subscription that brings changes to this side.',
    required: true,
  };
  if (facts.versionNumber >= SUBSCRIPTION_BY_GRANT) {
    return {
      ...shared,
      what: 'membership in pg_create_subscription',
      sql: `GRANT pg_create_subscription TO ${role}`,
      held: facts.subscription,
    };
  }
  const sql = WAYS[platform].subscriptionBefore16(role);
  if (sql !== null) {
    const held = facts.superuser || facts.administrator;
    return { ...shared, what: "membership in the provider's superuser role", sql, held };
  }
  if (!facts.superuser) {
    return `before version 16 only a superuser makes subscriptions, and this is ${facts.version}: ALTER ROLE ${role} SUPERUSER for the time of the migration, or use servers of 16 and newer`;
  }
  return {
    ...shared,
    what: 'SUPERUSER, which CREATE SUBSCRIPTION needs before 16',
    sql: `ALTER ROLE ${role} SUPERUSER`,
    held: true,
  };
}

/**
 * What the role of the target needs so that a copied schema belongs to whom it belonged on the source. Empty for a superuser
 * that lacks no role, and where the schema is not copied.
 */
export async function rightsToCopy(
  source: Session,
  target: Session,
  move: DatabaseMove,
  tables: ScopeTable[],
): Promise<Right[]> {
  if (move.database.schema !== 'copy' || tables.length === 0) return [];
  const facts = await target.row<Facts & Record<string, unknown>>(RIGHTS, scopeOf(tables));
  const from = await source.row<Facts & Record<string, unknown>>(RIGHTS, scopeOf(tables));
  if (facts === undefined || from === undefined) return [];
  const roles = await copiedRoles(source, tables);
  const there = await membershipsOf(target, roles);
  const rights = roles.flatMap(({ name, login, owner, grantor }): Right[] => {
    const known = there.get(name);
    // What a superuser of the target would own belongs to the role of the migration: see postgres/schema/selection.ts.
    if (name === facts.role || known === 'superuser') return [];
    const made: Right = {
      what: `the role ${name}`,
      sql: creating(name, login),
      why: `${name} ${owner ? 'owns' : 'may use'} what is copied. Its password, settings and memberships don't come with a database.`,
      held: known !== undefined,
      required: true,
    };
    if (!owner && !grantor) return [made];
    const because = owner ? 'will own what is copied' : 'has granted to others what is copied';
    return [made, membership(facts, name, facts.superuser || known === 'held', because)];
  });
  const owners = roles.filter(({ name, owner }) => owner && there.get(name) !== 'superuser').map(({ name }) => name);
  return [
    ...rights,
    ...(facts.superuser ? [] : await rightsInSchemas(source, target, facts.role, owners, tables)),
    ...(await bypassThere(target, facts, from.forcedOwners)),
    ...(facts.superuser ? [] : await extensionsThere(source, target)),
  ];
}

/** Fine to run twice, without a password. */
function creating(name: string, login: boolean): string {
  return (
    `DO $grant$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(name)}) THEN ` +
    `CREATE ROLE ${identifier(name)}${login ? ' LOGIN' : ''}; END IF; END $grant$`
  );
}

interface CopiedRole {
  name: string;
  login: boolean;
  owner: boolean;
  /** Of rights on what belongs to somebody else. */
  grantor: boolean;
}

async function copiedRoles(source: Session, tables: ScopeTable[]): Promise<CopiedRole[]> {
  const leftOut = await leftOutOf(source, tables);
  return source.rows<CopiedRole & Record<string, unknown>>(COPIED_ROLES, [[...leftOut]]);
}

/** Which of these roles are there, and whether the role of the session may act as each. */
type Membership = 'held' | 'not held' | 'superuser';

async function membershipsOf(target: Session, roles: { name: string }[]): Promise<Map<string, Membership>> {
  const rows = await target.rows<{ name: string; held: boolean; superuser: boolean }>(
    `select r.rolname as name, r.rolsuper as superuser, pg_has_role(r.oid, 'usage')
       and pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as held
     from pg_catalog.pg_roles r where r.rolname = any ($1::text[])`,
    [roles.map(({ name }) => name)],
  );
  return new Map(rows.map(({ name, held, superuser }) => [name, held ? 'held' : superuser ? 'superuser' : 'not held']));
}

/** Only somebody who may create in a schema may own something there. */
async function rightsInSchemas(
  source: Session,
  target: Session,
  role: string,
  owners: string[],
  tables: ScopeTable[],
): Promise<Right[]> {
  const present = await target.rows<{ schema: string; role: string; held: boolean }>(SCHEMAS_THERE, [
    [...new Set(tables.map((table) => table.schema))],
    [role, ...owners],
  ]);
  const owning = await source.rows<{ schema: string; role: string }>(OWNERS_IN_SCHEMAS, scopeOf(tables));
  const there = [...new Set(present.map((row) => row.schema))].sort();
  return there.flatMap((schema) => {
    const here = owning.filter((row) => row.schema === schema && owners.includes(row.role)).map((row) => row.role);
    return [...new Set([role, ...here])].map((name) => ({
      what: `CREATE on the schema ${schema} for ${name}`,
      sql: `GRANT USAGE, CREATE ON SCHEMA ${identifier(schema)} TO ${identifier(name)}`,
      why: 'The schema is there already, and only who may create in it may own something there.',
      held: present.some((row) => row.schema === schema && row.role === name && row.held),
      required: true,
    }));
  });
}

async function bypassThere(target: Session, facts: Facts, forced: { name: string }[]): Promise<Right[]> {
  if (forced.length === 0) return [];
  const rows = await target.rows<{ name: string }>(
    'select rolname as name from pg_catalog.pg_roles where (rolbypassrls or rolsuper) and rolname = any ($1::text[])',
    [[facts.role, ...forced.map(({ name }) => name)]],
  );
  const held = (name: string): boolean => rows.some((row) => row.name === name);
  const owners = facts.versionNumber >= SUBSCRIPTION_BY_GRANT ? forced : [];
  return [ownBypass(facts, held(facts.role)), ...owners.map(({ name }) => bypass(name, held(name)))];
}

/** Those that aren't trusted; the copy makes the others. What is there already is left as it is. */
async function extensionsThere(source: Session, target: Session): Promise<Right[]> {
  const used = await source.rows<{ name: string; schema: string }>(
    `select e.extname as name, n.nspname as schema
     from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace`,
  );
  const needing = await target.rows<{ name: string }>(EXTENSIONS_OF_SUPERUSERS, [used.map(({ name }) => name)]);
  const schemas = await target.rows<{ name: string }>('select nspname as name from pg_catalog.pg_namespace');
  return needing.flatMap(({ name }) => {
    const schema = used.find((one) => one.name === name)?.schema ?? 'public';
    const shared = { why: `${name} isn't trusted, so only a superuser makes it.`, held: false, required: true };
    const made = {
      ...shared,
      what: `the extension ${name}, which isn't trusted`,
      sql: `CREATE EXTENSION IF NOT EXISTS ${identifier(name)} SCHEMA ${identifier(schema)}`,
    };
    if (schemas.some((one) => one.name === schema)) return [made];
    const place = { ...shared, what: `the schema ${schema}`, sql: `CREATE SCHEMA IF NOT EXISTS ${identifier(schema)}` };
    return [place, made];
  });
}
