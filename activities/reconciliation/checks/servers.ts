/** What lies beneath the tables and changes what they answer: extensions, the database's locale, collations, settings. */
import { compareSettings } from '../../postgres/schema/details.js';
import type { Session } from '../../postgres/session.js';
import { statement } from '../../postgres/statements.js';
import { readServer } from '../../preflight/servers.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { attempted, drift, SIDES, settingsGiven, usually } from './reading.js';
import { settledCatalogs } from './settled.js';

const COLLATIONS = statement(import.meta.url, '../../preflight/sql/collations.sql');

/** Given to every session, by server, database or role; one that differs makes the same query answer otherwise. */
const SETTINGS = [
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'array_nulls',
  'backslash_quote',
  'bytea_output',
  'default_text_search_config',
  'default_transaction_isolation',
  'extra_float_digits',
  'lc_messages',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'quote_all_identifiers',
  'row_security',
  'search_path',
  'session_replication_role',
  'standard_conforming_strings',
  'transform_null_equals',
  'xmlbinary',
  'xmloption',
];

export const servers: Check = async (run) => {
  const notChecked: NotChecked[] = [];
  const findings: Finding[] = [];
  for (const [what, look] of [
    ['extensions', extensions],
    ['the locale of the databases', locale],
    ['collations', collations],
    ['settings', settings],
  ] as const) {
    const found = await attempted(run, what, notChecked, () => settledCatalogs(run, what, notChecked, () => look(run)));
    findings.push(...(found ?? []));
  }
  return { findings, notChecked };
};

/** What both sides say, one line a fact. */
function compared(what: string, source: Map<string, string>, target: Map<string, string>): Finding[] {
  return [...new Set([...source.keys(), ...target.keys()])].flatMap((name) => {
    const [mine, theirs] = [source.get(name), target.get(name)];
    if (mine === theirs) return [];
    const side = mine === undefined ? 'target' : theirs === undefined ? 'source' : null;
    const detail =
      side === null
        ? `${what}${name} is ${mine ?? ''} on the source, and ${theirs ?? ''} on the target`
        : `${what}${name} is on the ${side} only (${mine ?? theirs ?? ''})`;
    return [drift({ side, detail })];
  });
}

async function extensions(run: CheckRun): Promise<Finding[]> {
  const of = async (session: Session): Promise<Map<string, string>> => {
    const rows = await session.rows<{ name: string; version: string }>(
      'select extname as name, extversion as version from pg_catalog.pg_extension order by 1',
    );
    return new Map(rows.map(({ name, version }) => [name, version]));
  };
  return compared('extension ', await of(run.source), await of(run.target));
}

async function locale(run: CheckRun): Promise<Finding[]> {
  const of = async (session: Session): Promise<Map<string, string>> => {
    const server = await readServer(session);
    return new Map([
      ['encoding', server.encoding],
      ['locale provider', server.locale_provider],
      ['LC_COLLATE', server.collate],
      ['LC_CTYPE', server.ctype],
      ['ICU locale', server.icu_locale ?? 'none'],
    ]);
  };
  return compared('the database: its ', await of(run.source), await of(run.target));
}

interface Collation {
  name: string;
  /** What the operating system or ICU has now, and what the database was made with. */
  version: string;
  recorded: string | null;
}

/** Another version sorts text otherwise; and where it changed beneath a database, its indexes no longer find everything. */
async function collations(run: CheckRun): Promise<Finding[]> {
  const scope = [run.tables.map(({ schema }) => schema), run.tables.map(({ name }) => name)];
  const on = {
    source: [
      ...(await run.source.rows<Collation & Record<string, unknown>>(COLLATIONS, scope)),
      ...(await own(run.source)),
    ],
    target: [
      ...(await run.target.rows<Collation & Record<string, unknown>>(COLLATIONS, scope)),
      ...(await own(run.target)),
    ],
  };
  const versions = (side: 'source' | 'target'): Map<string, string> =>
    new Map(on[side].map(({ name, version }) => [name, version]));
  const [here, there] = [versions('source'), versions('target')];
  // A column with a collation on one side only is said with the columns.
  const both = (all: Map<string, string>, other: Map<string, string>): Map<string, string> =>
    new Map([...all].filter(([name]) => other.has(name)));
  const moved = SIDES.flatMap((side) =>
    on[side]
      .filter(({ version, recorded }) => recorded !== null && recorded !== version)
      .map(({ name, version, recorded }) =>
        drift({
          side,
          detail: `collation ${name} of the ${side} was ${recorded ?? ''} when its indexes were made, and is ${version} now: REINDEX what sorts text`,
          ...usually(run, 'drift', 'high'),
        }),
      ),
  );
  return [...compared('the version of collation ', both(here, there), both(there, here)), ...moved];
}

/** Of the database's own collation. PostgreSQL 15 and newer; older ones don't write it down, and ask for `default`. */
async function own(session: Session): Promise<Collation[]> {
  const known = await session.row<{ known: boolean }>(
    `select to_regproc('pg_catalog.pg_database_collation_actual_version') is not null as known`,
  );
  if (!known?.known) return [];
  return session.rows<Collation & Record<string, unknown>>(
    `select 'default' as name, pg_database_collation_actual_version(oid) as version, datcollversion as recorded
     from pg_catalog.pg_database where datname = current_database() and pg_database_collation_actual_version(oid) is not null`,
  );
}

async function settings(run: CheckRun): Promise<Finding[]> {
  const given = await Promise.all(SIDES.map((side) => settingsGiven(run, side, SETTINGS)));
  const [source = new Map<string, string>(), target = new Map<string, string>()] = given;
  const everybody = compared('setting ', source, target);
  // Those of other roles, and of settings that change no answer.
  const known = new Set(SETTINGS.map((name) => name.toLowerCase()));
  const forward = await compareSettings(run.source, run.target);
  const back = (await compareSettings(run.target, run.source)).filter(({ unset }) => unset);
  return [
    ...everybody,
    ...forward
      .filter((one) => one.role !== null && known.has(one.name.toLowerCase()))
      .map(({ what }) => drift({ detail: what })),
    ...back
      .filter((one) => one.role !== null && known.has(one.name.toLowerCase()))
      .map(({ name, role }) =>
        drift({
          side: 'target',
          detail: `${name} of the role ${role ?? ''} in the database is set on the target only`,
        }),
      ),
  ];
}
