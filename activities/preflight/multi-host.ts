/** Whether clients with both hosts in their URL will choose right, and whether their sessions can be ended. */
import type { NormalMultiHost } from '../../spec/normal.js';
import { resolveTables, type ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { nameOf, statement } from '../postgres/statements.js';
import { defineCheck, type Found, type Look } from './check.js';
import { each, listed } from './evidence.js';

const MULTI_HOST = statement(import.meta.url, './sql/multi_host.sql');

interface Row extends Record<string, unknown> {
  role: string;
  database: string;
  owner: string;
  ownerIsSuperuser: boolean;
  owns: boolean;
  /** Roles without which sessions of others can't be ended. */
  lacks: string[];
  setting: string | null;
  overrides: string[];
  repairs: string[];
}

type SettingId =
  'multi-host-not-owner' | 'multi-host-role-setting' | 'multi-host-read-only' | 'multi-host-sessions-stay';

export const multiHostSettings = defineCheck<SettingId>({
  topic: 'Clients with both hosts',
  on: 'each side',
  rules: {
    'multi-host-not-owner': {
      severity: 'error',
      title: 'The role of the migration may not set what drivers choose the host by',
      why: 'ALTER DATABASE … SET default_transaction_read_only is for the owner of the database, on both sides.',
      mend: 'GRANT the owner of the database TO the role of the migration; where a superuser owns it, ALTER DATABASE … OWNER TO that role.',
    },
    'multi-host-role-setting': {
      severity: 'warning',
      title: 'Roles have a default_transaction_read_only of their own',
      why: 'It goes before that of the database. One that is off makes drivers take the wrong host after the switch, whose fence refuses their writes; one that is on makes them find no host that takes writes.',
      mend: 'ALTER ROLE … RESET default_transaction_read_only, unless the role never connects with both hosts.',
    },
    'multi-host-read-only': {
      severity: 'error',
      title: 'The database tells all sessions that they may not write',
      why: 'Drivers that look for a host that takes writes avoid it already. On the target it would stay on after the switch, or be taken away by it.',
      mend: 'ALTER DATABASE … RESET default_transaction_read_only.',
    },
    'multi-host-sessions-stay': {
      severity: 'warning',
      title: "The role of the migration may not end the applications' sessions",
      why: 'After the switch sessions stay on the old side until their next write is refused with 25006; drivers that do not reconnect then get no further.',
      mend: 'GRANT pg_signal_backend, pg_read_all_stats TO the role of the migration.',
    },
  },
  find: async (session, look) => {
    const endpoint = multiHostOf(look);
    const row = endpoint === null ? undefined : await session.row<Row>(MULTI_HOST);
    if (row === undefined) return [];
    return [...notOwner(row), ...readOnly(row, session, look), ...overridden(row), ...staying(row)];
  },
});

/** The multiHost of this database; there is one at most. */
export function multiHostOf({ move }: Look): NormalMultiHost | null {
  return move.database.endpoints.find((one) => one.kind === 'multiHost') ?? null;
}

function notOwner({ role, database, owner, ownerIsSuperuser, owns }: Row): Found<SettingId>[] {
  if (owns) return [];
  return [
    {
      id: 'multi-host-not-owner',
      evidence: `${role} is not a member of ${owner}, who owns the database ${database}`,
      // Whoever is a member of a superuser is one.
      repair: [ownerIsSuperuser ? `ALTER DATABASE ${database} OWNER TO ${role}` : `GRANT ${owner} TO ${role}`],
    },
  ];
}

function readOnly({ database, setting }: Row, session: Session, { claimed }: Look): Found<SettingId>[] {
  // Once the tables are claimed, it is this migration's own.
  if (setting === null || setting === 'off' || claimed) return [];
  return [
    {
      id: 'multi-host-read-only',
      evidence: `${database} of the ${session.side} sets default_transaction_read_only = ${setting}`,
      repair: [`ALTER DATABASE ${database} RESET default_transaction_read_only`],
    },
  ];
}

function overridden({ overrides, repairs }: Row): Found<SettingId>[] {
  if (overrides.length === 0) return [];
  return [
    {
      id: 'multi-host-role-setting',
      evidence: listed(overrides),
      repair: each(repairs, (repair) => repair.replace(/alter role|in database|reset/g, (word) => word.toUpperCase())),
    },
  ];
}

function staying({ role, lacks }: Row): Found<SettingId>[] {
  if (lacks.length === 0) return [];
  return [
    {
      id: 'multi-host-sessions-stay',
      evidence: `${role} is neither superuser nor a member of ${listed(lacks)}, and can end only sessions of roles that it is a member of`,
      repair: lacks.map((lacking) => `GRANT ${lacking} TO ${role}`),
    },
  ];
}

export const multiHostScope = defineCheck<'multi-host-partial-scope'>({
  topic: 'Clients with both hosts',
  on: 'source',
  rules: {
    'multi-host-partial-scope': {
      severity: 'error',
      title: 'Only a part of the tables or of their rows moves, and multiHost is for the whole database',
      why: 'After the switch the source tells every session that it may not write: writers of the tables that stay would find no host, or be refused. Those of rows that stay would be led to the target, which lacks the rows.',
      mend: 'Move all tables of the database with all their rows, or lead the clients by pgbouncer or hook.',
    },
  },
  find: async (source, look) => {
    if (multiHostOf(look) === null || look.tables.length === 0) return [];
    const all = await resolveTables(source, { include: ['*.*'], exclude: [], unlogged: { '*.*': 'empty' } });
    const moving = new Set(look.tables.map(nameOf));
    const staying = all.filter((table) => !moving.has(nameOf(table)));
    const partly = look.tables.filter(({ rowFilter }) => rowFilter != null);
    if (staying.length === 0 && partly.length === 0) return [];
    const named = (tables: ScopeTable[]): string => listed(tables.map(({ schema, name }) => `${schema}.${name}`));
    return [
      {
        id: 'multi-host-partial-scope',
        evidence: [
          ...(staying.length === 0 ? [] : [`these stay: ${named(staying)}`]),
          ...(partly.length === 0 ? [] : [`rows of these stay: ${named(partly)}`]),
        ].join('; '),
        repair: [
          staying.length === 0
            ? 'Take tables.rowFilters out, or lead the clients by another kind of endpoint'
            : 'Include them in tables.include, or lead the clients by another kind of endpoint',
        ],
      },
    ];
  },
});
