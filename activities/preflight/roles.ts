/** Who may do what: the role of the migration, the roles of the applications, row security. */
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const PRIVILEGES = statement(import.meta.url, './sql/privileges.sql');
const ROLES = statement(import.meta.url, './sql/roles.sql');
const ROW_SECURITY = statement(import.meta.url, './sql/row_security.sql');

interface Privileges {
  role: string;
  database: string;
  version_number: number;
  superuser: boolean;
  replication: boolean;
  subscription: boolean;
  create_in_database: boolean;
  statistics: boolean;
  origin: boolean;
  foreign_owners: string[];
}

/** Since this version a subscription can be made by members of pg_create_subscription. */
const SUBSCRIPTION_BY_GRANT = 160_000;

export const privileges = defineCheck<'privilege-missing' | 'activity-hidden'>({
  topic: 'Roles and rights',
  on: 'each side',
  rules: {
    'privilege-missing': {
      severity: 'error',
      title: 'The role of the migration lacks rights',
      why: 'Each side is made to publish, to subscribe and to fence, since the writes may come back. Triggers and publications need the ownership of the tables.',
      mend: 'A superuser, or a role with REPLICATION, CREATE on the database, membership in the owners of the tables and in pg_create_subscription (before 16 only a superuser makes subscriptions), and EXECUTE on pg_replication_origin_session_is_setup().',
    },
    'activity-hidden': {
      severity: 'warning',
      title: "The role of the migration can't see what others do",
      why: 'Long and idle transactions, and clients that bypass the pooler, stay unseen until they are in the way.',
      mend: 'GRANT pg_read_all_stats TO the role.',
    },
  },
  find: async (session, { tables }) => {
    const rights = await session.row<Privileges>(PRIVILEGES, scopeParameters(tables));
    if (!rights) return [];
    const missing = missingRights(rights);
    const found: Found<'privilege-missing' | 'activity-hidden'>[] = [];
    if (missing.length > 0) {
      found.push({
        id: 'privilege-missing',
        evidence: `the role ${rights.role} has not: ${missing.map((right) => right.what).join('; ')}`,
        repair: missing.map((right) => right.repair),
      });
    }
    if (!rights.statistics) {
      found.push({
        id: 'activity-hidden',
        evidence: `the role ${rights.role} is neither superuser nor a member of pg_read_all_stats`,
        repair: [`GRANT pg_read_all_stats TO ${rights.role}`],
      });
    }
    return found;
  },
});

function missingRights(rights: Privileges): { what: string; repair: string }[] {
  const { role } = rights;
  const missing: { what: string; repair: string }[] = [];
  if (!rights.replication) missing.push({ what: 'REPLICATION', repair: `ALTER ROLE ${role} REPLICATION` });
  if (!rights.create_in_database) {
    missing.push({
      what: `CREATE on the database ${rights.database}`,
      repair: `GRANT CREATE ON DATABASE ${rights.database} TO ${role}`,
    });
  }
  for (const owner of rights.foreign_owners) {
    missing.push({ what: `membership in ${owner}, who owns tables in scope`, repair: `GRANT ${owner} TO ${role}` });
  }
  if (!rights.subscription) {
    const byGrant = rights.version_number >= SUBSCRIPTION_BY_GRANT;
    missing.push({
      what: byGrant ? 'membership in pg_create_subscription' : 'SUPERUSER, which CREATE SUBSCRIPTION needs before 16',
      repair: byGrant ? `GRANT pg_create_subscription TO ${role}` : `ALTER ROLE ${role} SUPERUSER`,
    });
  }
  if (!rights.origin) {
    missing.push({
      what: 'EXECUTE on pg_replication_origin_session_is_setup()',
      repair: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_is_setup() TO ${role}`,
    });
  }
  return missing;
}

export const roles = defineCheck<'role-missing'>({
  topic: 'Roles and rights',
  on: 'both',
  rules: {
    'role-missing': {
      severity: 'error',
      title: 'The target lacks roles',
      why: 'Roles belong to a server and do not come with a database: owners and grants could not be copied, and applications could not log in after the switch.',
      mend: 'Create them, with their passwords and memberships: pg_dumpall --roles-only has them all.',
    },
  },
  find: async ({ source, target }, { tables }) => {
    const needed = await source.rows<{ name: string; quoted: string; login: boolean }>(ROLES, scopeParameters(tables));
    const there = await target.rows<{ name: string }>('select rolname as name from pg_catalog.pg_roles');
    const missing = needed.filter((role) => !there.some((other) => other.name === role.name));
    if (missing.length === 0) return [];
    return [
      {
        id: 'role-missing',
        side: 'target',
        evidence: `${listed(missing.map((role) => role.name))}: owners of tables in scope, or holders of grants on them`,
        repair: [
          ...each(missing, (role) => `CREATE ROLE ${role.quoted}${role.login ? ' LOGIN' : ''}`),
          ...(missing.some((role) => role.login)
            ? ['Give them their passwords: pg_dumpall --roles-only has them']
            : []),
        ],
      },
    ];
  },
});

export const rowSecurity = defineCheck<'row-security-hides' | 'row-security'>({
  topic: 'Roles and rights',
  on: 'each side',
  rules: {
    'row-security-hides': {
      severity: 'error',
      title: 'Row security hides rows from the migration',
      why: 'Copy and validation would fail, and a subscription does not write into tables whose policies apply to its owner.',
      mend: 'ALTER ROLE … BYPASSRLS for the role of the migration.',
    },
    'row-security': {
      severity: 'info',
      title: 'Tables have row security',
      why: 'Policies come with the schema; replication neither applies nor changes them.',
      mend: 'Nothing.',
    },
  },
  find: async (session, { tables }) => {
    const rows = await session.rows<{ name: string; active: boolean }>(ROW_SECURITY, scopeParameters(tables));
    const hiding = rows.filter((row) => row.active);
    const found: Found<'row-security-hides' | 'row-security'>[] = [];
    if (hiding.length > 0) {
      const role = await session.row<{ role: string }>('select quote_ident(current_user) as role');
      found.push({
        id: 'row-security-hides',
        evidence: `policies of ${listed(hiding.map((row) => row.name))} apply to the role ${role?.role}`,
        repair: [`ALTER ROLE ${role?.role} BYPASSRLS`],
      });
    }
    if (rows.length > hiding.length) {
      const others = rows.filter((row) => !row.active).map((row) => row.name);
      found.push({ id: 'row-security', evidence: listed(others), repair: [] });
    }
    return found;
  },
});
