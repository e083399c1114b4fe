/** The two servers and databases themselves: which they are, whether they go together. */
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { listed } from './evidence.js';

const SERVER = statement(import.meta.url, './sql/server.sql');
const COLLATIONS = statement(import.meta.url, './sql/collations.sql');

const OLDEST = 13;
const NEWEST = 18;

export interface ServerFacts {
  version_number: number;
  version: string;
  in_recovery: boolean;
  system_identifier: string;
  database_oid: string;
  database: string;
  encoding: string;
  locale_provider: string;
  collate: string;
  ctype: string;
  icu_locale: string | null;
  collation_version: string | null;
}

export async function readServer(session: Session): Promise<ServerFacts> {
  const facts = await session.row<ServerFacts>(SERVER);
  if (!facts) throw new Error('pg_database has no row of the current database');
  return facts;
}

type Version = Pick<ServerFacts, 'version_number' | 'version'>;

const major = (facts: Version): number => Math.floor(facts.version_number / 10_000);

export const server = defineCheck<'server-version' | 'in-recovery'>({
  topic: 'Servers',
  on: 'each side',
  rules: {
    'server-version': {
      severity: 'error',
      title: 'The version of the server is not supported',
      why: `Godwit knows PostgreSQL ${OLDEST} to ${NEWEST}: before ${OLDEST} partitioned tables can't be published, and what is newer has not been tried.`,
      mend: `Use a server of version ${OLDEST} to ${NEWEST}.`,
    },
    'in-recovery': {
      severity: 'error',
      title: 'The server is a standby',
      why: 'A standby takes no writes: no publication, fence or slot of a migration can be made there.',
      mend: 'Give the URL of the primary.',
    },
  },
  find: async (session) => {
    const facts = await readServer(session);
    const found = judgeVersion(facts);
    if (facts.in_recovery) {
      found.push({
        id: 'in-recovery',
        evidence: 'pg_is_in_recovery() is true; expected a primary',
        repair: ['Give the URL of the primary, or promote this server first'],
      });
    }
    return found;
  },
});

/** Exported for the versions that aren't at hand. */
export function judgeVersion(facts: Version): Found<'server-version' | 'in-recovery'>[] {
  if (major(facts) >= OLDEST && major(facts) <= NEWEST) return [];
  return [
    {
      id: 'server-version',
      evidence: `the server is PostgreSQL ${facts.version}; expected ${OLDEST} to ${NEWEST}`,
      repair: [`Use a server of version ${OLDEST} to ${NEWEST}`],
    },
  ];
}

type PairId =
  | 'same-database'
  | 'same-server'
  | 'target-older'
  | 'target-newer'
  | 'database-encoding'
  | 'database-locale'
  | 'collation-version';

export const serverPair = defineCheck<PairId>({
  topic: 'Servers',
  on: 'both',
  rules: {
    'same-database': {
      severity: 'error',
      title: 'Source and target are the same database',
      why: 'A database cannot move to itself; fence and copy would meet in the same tables.',
      mend: 'Give another target.',
    },
    'same-server': {
      severity: 'info',
      title: 'Source and target are two databases of one server',
      why: 'It works, but both share disk, memory, slots and crashes; a slot needs its creation and the subscription in separate steps there, which Godwit does.',
      mend: 'Nothing, if that is what you want.',
    },
    'target-older': {
      severity: 'warning',
      title: 'The target is an older version than the source',
      why: 'Replication works in both directions between all supported versions, but the schema may use what the older server does not know, and pg_dump promises nothing for it.',
      mend: 'Use a target of the same or a newer version, or create the schema by yourself (schema: existing).',
    },
    'target-newer': {
      severity: 'info',
      title: 'The target is a newer version than the source',
      why: 'The way back then replicates from the newer to the older server, which logical replication does without any special care.',
      mend: 'Nothing. Columns or types that only the newer version has should wait until the migration is finalized.',
    },
    'database-encoding': {
      severity: 'error',
      title: 'The databases have different encodings',
      why: 'Text of one may not exist in the other: replication stops at the first such row, there or on the way back.',
      mend: "Create the target database with the source's encoding.",
    },
    'database-locale': {
      severity: 'warning',
      title: 'The databases have different locales',
      why: 'Text sorts and compares differently after the switch; unique indexes and range partitions over text may differ.',
      mend: "Create the target database with the source's locale, if applications rely on the order.",
    },
    'collation-version': {
      severity: 'warning',
      title: 'Collations have different versions on the two sides',
      why: "Text may sort differently after the switch. Godwit builds the target's indexes there, so they are right.",
      mend: 'Nothing, if no application relies on the exact order; else the same operating system or ICU version on both sides.',
    },
  },
  find: async ({ source, target }, { tables }) => {
    const [from, to] = [await readServer(source), await readServer(target)];
    const found = [...identities(from, to), ...judgeVersions(from, to), ...locales(from, to)];
    const differing = await collations(source, target, scopeParameters(tables), from, to);
    if (differing.length > 0) {
      found.push({
        id: 'collation-version',
        evidence: `${listed(differing)} (source, target)`,
        repair: [
          'Check what relies on the order of text, or use the same operating system or ICU version on both sides',
        ],
      });
    }
    return found;
  },
});

function identities(from: ServerFacts, to: ServerFacts): Found<PairId>[] {
  if (from.system_identifier !== to.system_identifier) return [];
  if (from.database_oid !== to.database_oid) {
    return [
      {
        id: 'same-server',
        evidence: `both have the system identifier ${from.system_identifier}; databases ${from.database} and ${to.database}`,
        repair: [],
      },
    ];
  }
  return [
    {
      id: 'same-database',
      evidence: `both URLs lead to database ${from.database} of the server with the system identifier ${from.system_identifier}`,
      repair: ['Give the URL of another server or database as target.url'],
    },
  ];
}

/** Exported for the versions that aren't at hand. */
export function judgeVersions(from: Version, to: Version): Found<PairId>[] {
  if (major(from) === major(to)) return [];
  const evidence = `source ${from.version}, target ${to.version}`;
  if (major(to) > major(from)) return [{ id: 'target-newer', evidence, repair: [] }];
  return [
    {
      id: 'target-older',
      evidence,
      repair: [`Use a target of version ${major(from)} or newer, or create its schema by yourself (schema: existing)`],
    },
  ];
}

function locales(from: ServerFacts, to: ServerFacts): Found<PairId>[] {
  const found: Found<PairId>[] = [];
  if (from.encoding !== to.encoding) {
    found.push({
      id: 'database-encoding',
      evidence: `source ${from.encoding}, target ${to.encoding}`,
      repair: [`Create the target database anew with ENCODING '${from.encoding}' TEMPLATE template0`],
    });
  }
  const locale = (facts: ServerFacts): string =>
    facts.locale_provider === 'i' ? `ICU ${facts.icu_locale}` : `${facts.collate}/${facts.ctype}`;
  if (locale(from) !== locale(to)) {
    found.push({
      id: 'database-locale',
      evidence: `source ${locale(from)}, target ${locale(to)} (LC_COLLATE/LC_CTYPE)`,
      repair: [
        `Create the target database anew with LC_COLLATE '${from.collate}' LC_CTYPE '${from.ctype}' TEMPLATE template0`,
      ],
    });
  }
  return found;
}

/** Collations by name with both versions, where these differ. The database's own is `default`. */
async function collations(
  source: Session,
  target: Session,
  scope: [string[], string[]],
  from: ServerFacts,
  to: ServerFacts,
): Promise<string[]> {
  const here = await source.rows<{ name: string; version: string }>(COLLATIONS, scope);
  const there = await target.rows<{ name: string; version: string }>(
    `select n.nspname || '.' || c.collname as name, pg_collation_actual_version(c.oid) as version
     from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace
     where n.nspname || '.' || c.collname = any ($1::text[])`,
    [here.map((row) => row.name)],
  );
  const pairs = here.map((row) => ({ ...row, other: there.find((other) => other.name === row.name)?.version }));
  if (from.collation_version !== null && to.collation_version !== null) {
    pairs.push({ name: 'default', version: from.collation_version, other: to.collation_version });
  }
  return pairs
    .filter((pair) => pair.other !== undefined && pair.other !== pair.version)
    .map((pair) => `${pair.name} ${pair.version}, ${pair.other}`);
}
