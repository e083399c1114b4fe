/** Who may do what: the role of the migration, the roles of the applications, row security. */
import { identifier, statement } from '../postgres/statements.js';
import { followerOf } from '../postgres/connection.js';
import { rightsOn, rightsToCopy, type Right } from '../rights/rights.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const ROLES = statement(import.meta.url, './sql/roles.sql');
const ROW_SECURITY = statement(import.meta.url, './sql/row_security.sql');

type RightsId = 'privilege-missing' | 'superuser-needed' | 'activity-hidden';

export const privileges = defineCheck<RightsId>({
  topic: 'Roles and rights',
  on: 'each side',
  rules: {
    'privilege-missing': {
      severity: 'error',
      title: 'The role of the migration lacks rights',
      why: 'Each side is made to publish, to subscribe and to fence, since the writes may come back. Triggers and publications need the ownership of the tables.',
      mend: '`godwit plan --grants` prints every statement that an administrator runs, for either side.',
    },
    'superuser-needed': {
      severity: 'error',
      title: 'No grant gives the role of the migration what it needs',
      why: 'Before version 16 only a superuser makes subscriptions, and each side needs one; providers of managed servers have a role of their own that may. What a superuser owns, only superusers may fence.',
      mend: 'Use servers of 16 and newer, or make the role a superuser for the time of the migration; give tables that a superuser owns to another role.',
    },
    'activity-hidden': {
      severity: 'warning',
      title: "The role of the migration can't see what others do",
      why: 'Long and idle transactions, and clients that bypass the pooler, stay unseen until they are in the way.',
      mend: 'GRANT pg_read_all_stats TO the role.',
    },
  },
  find: async (session, { tables, move }) => {
    const side = session.side === 'source' ? 'source' : 'target';
    const seen = await rightsOn(session, tables, await followerOf(move.database, side), null);
    if (seen === null) return [];
    const missing = seen.rights.filter((right) => !right.held);
    const required = missing.filter((right) => right.required);
    const found: Found<RightsId>[] = [];
    const without = (rights: Right[]): string => listed(rights.map((right) => right.what));
    if (required.length > 0) {
      found.push({
        id: 'privilege-missing',
        evidence: `the role ${seen.facts.role} has not: ${without(required)}`,
        repair: required.map((right) => right.sql),
      });
    }
    if (seen.impossible.length > 0) {
      found.push({ id: 'superuser-needed', evidence: listed(seen.impossible), repair: seen.impossible });
    }
    if (!seen.facts.statistics) {
      found.push({
        id: 'activity-hidden',
        evidence: `the role ${seen.facts.role} is neither superuser nor a member of pg_read_all_stats`,
        repair: [`GRANT pg_read_all_stats TO ${identifier(seen.facts.role)}`],
      });
    }
    return found;
  },
});

export const rightsToCopySchema = defineCheck<'copy-right-missing'>({
  topic: 'Roles and rights',
  on: 'both',
  rules: {
    'copy-right-missing': {
      severity: 'error',
      title: 'The role of the target may not make the schema as it is on the source',
      why: 'Everything that is copied gets its owner, which takes membership in that role, and its right to create in the schema.',
      mend: '`godwit plan --grants` prints the statements for an administrator; or make the schema by yourself (schema: existing).',
    },
  },
  find: async ({ source, target }, { move, tables, claimed }) => {
    if (claimed) return [];
    // Roles that aren't there are the next check's.
    const missing = (await rightsToCopy(source, target, move, tables)).filter(
      (right) => !right.held && !right.what.startsWith('the role '),
    );
    if (missing.length === 0) return [];
    return [
      {
        id: 'copy-right-missing',
        side: 'target',
        evidence: `the role of the target has not: ${listed(missing.map((right) => right.what))}`,
        repair: missing.map((right) => right.sql),
      },
    ];
  },
});

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
