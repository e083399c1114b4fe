/** What PgBouncer's admin console tells. https://www.pgbouncer.org/usage.html#show-commands */
import { readUrl } from '../postgres/url.js';
import { resolveSecret } from '../secrets.js';
import { literal } from '../postgres/statements.js';
import { defineCheck, type Found, type Look, type OpenEndpoint, type Sessions } from './check.js';
import { each, listed, secondsText } from './evidence.js';
import { placeOfSource, samePlace, type Place } from './place.js';

type Row = Record<string, string | null>;

type SettingId =
  | 'pgbouncer-version'
  | 'pgbouncer-not-admin'
  | 'pgbouncer-reuseport'
  | 'pgbouncer-wait-timeout'
  | 'pgbouncer-auth-user-missing';

/** The oldest that the switch was tried with. */
const OLDEST = [1, 18] as const;

export const pgbouncerSettings = defineCheck<SettingId>({
  topic: 'PgBouncer',
  on: 'endpoint',
  rules: {
    'pgbouncer-version': {
      severity: 'warning',
      title: `PgBouncer is older than ${OLDEST.join('.')}`,
      why: 'The switch rests on how PAUSE, RELOAD and RESUME go together, which older ones were not tried for.',
      mend: 'Update PgBouncer.',
    },
    'pgbouncer-not-admin': {
      severity: 'error',
      title: 'The user of the admin URL may look, but not pause',
      why: 'PAUSE, RELOAD and RESUME are for admin_users; stats_users may only SHOW.',
      mend: 'Add the user to admin_users in pgbouncer.ini, then RELOAD.',
    },
    'pgbouncer-reuseport': {
      severity: 'warning',
      title: 'Several processes may share the address of PgBouncer',
      why: 'With so_reuseport an admin connection lands on any of them: one is paused and pointed, the others go on. Their clients meet the fence and get errors.',
      mend: 'Give each process an address of its own for its admin console, and name each as an endpoint.',
    },
    'pgbouncer-wait-timeout': {
      severity: 'error',
      title: 'Clients would get errors before the pause may end',
      why: 'PgBouncer disconnects clients that wait longer than query_wait_timeout, also in a pause.',
      mend: 'Raise query_wait_timeout above cutover.maxPause, or lower maxPause; then RELOAD.',
    },
    'pgbouncer-auth-user-missing': {
      severity: 'error',
      title: 'PgBouncer asks for passwords with a user that the target has not',
      why: 'auth_query runs on the server that the entry points at: after the switch nobody could log in.',
      mend: 'Create auth_user, and the function that auth_query calls, on the target.',
    },
  },
  find: async ({ admin, endpoint }, look, sessions) => {
    const config = await settingsOf(admin);
    const version = String((await admin.show('version'))[0]?.['version'] ?? '');
    return [
      ...tooOld(version),
      ...(await notAdmin(endpoint.admin, config)),
      ...shared(config),
      ...impatient(config, look),
      ...(await authUser(config, sessions)),
    ];
  },
});

async function settingsOf(admin: OpenEndpoint['admin']): Promise<Map<string, string>> {
  const rows = await admin.show('config');
  return new Map(rows.map((row) => [String(row['key']), String(row['value'] ?? '')]));
}

/** Exported for the versions that aren't at hand. */
export function tooOld(version: string): Found<SettingId>[] {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return [];
  const old = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
  if (!old) return [];
  return [
    {
      id: 'pgbouncer-version',
      evidence: `${version}; expected ${OLDEST.join('.')} or newer`,
      repair: ['Update PgBouncer'],
    },
  ];
}

async function notAdmin(
  url: OpenEndpoint['endpoint']['admin'],
  config: Map<string, string>,
): Promise<Found<SettingId>[]> {
  const { user, host } = readUrl(await resolveSecret(url));
  const admins = (config.get('admin_users') ?? '').split(',').map((name) => name.trim());
  // By auth_type any everybody is an administrator; over its own Unix socket, the user pgbouncer.
  const byPlace = config.get('auth_type') === 'any' || (user === 'pgbouncer' && (host ?? '/').startsWith('/'));
  if (byPlace || (user !== null && admins.includes(user))) return [];
  return [
    {
      id: 'pgbouncer-not-admin',
      evidence: `${user ?? 'the user'} is not in admin_users (${admins.join(', ') || 'empty'})`,
      repair: [`In pgbouncer.ini: admin_users = ${[...admins, user].filter(Boolean).join(', ')}`, 'RELOAD'],
    },
  ];
}

function shared(config: Map<string, string>): Found<SettingId>[] {
  if (config.get('so_reuseport') !== '1') return [];
  return [
    {
      id: 'pgbouncer-reuseport',
      evidence: `so_reuseport is 1 on ${config.get('listen_addr')}:${config.get('listen_port')}`,
      repair: [
        'If it is one process: so_reuseport = 0, then restart PgBouncer',
        'Else a listen address or Unix socket of its own for each process, and an endpoint for each',
      ],
    },
  ];
}

function impatient(config: Map<string, string>, { move }: Look): Found<SettingId>[] {
  const seconds = Number(config.get('query_wait_timeout') ?? 0);
  const { maxPause } = move.database.cutover;
  // 0 turns it off.
  if (seconds === 0 || seconds * 1000 > maxPause) return [];
  const enough = 2 * Math.ceil(maxPause / 1000);
  return [
    {
      id: 'pgbouncer-wait-timeout',
      evidence: `query_wait_timeout is ${secondsText(seconds)}, cutover.maxPause ${secondsText(maxPause / 1000)}`,
      repair: [`In pgbouncer.ini: query_wait_timeout = ${enough}`, 'RELOAD'],
    },
  ];
}

async function authUser(config: Map<string, string>, { target }: Partial<Sessions>): Promise<Found<SettingId>[]> {
  const user = config.get('auth_user') ?? '';
  if (user === '' || !target) return [];
  const known = await target.row(`select from pg_catalog.pg_roles where rolname = $1`, [user]);
  if (known) return [];
  return [
    {
      id: 'pgbouncer-auth-user-missing',
      evidence: `auth_user is ${user}, and the target has no such role`,
      repair: [
        `On the target: CREATE ROLE ${user} LOGIN PASSWORD …, with the password that PgBouncer has for it`,
        `On the target: what auth_query needs: ${config.get('auth_query') ?? ''}`,
      ],
    },
  ];
}

type EntryId =
  | 'pgbouncer-database-unknown'
  | 'pgbouncer-elsewhere'
  | 'pgbouncer-session-mode'
  | 'pgbouncer-user-session-mode'
  | 'pgbouncer-paused'
  | 'pgbouncer-alias';

export const pgbouncerEntries = defineCheck<EntryId>({
  topic: 'PgBouncer',
  on: 'endpoint',
  rules: {
    'pgbouncer-database-unknown': {
      severity: 'error',
      title: 'PgBouncer does not know the database',
      why: 'There would be nothing to pause and nothing to point at the target.',
      mend: 'Name the entry of [databases] that clients use in endpoints[].database.',
    },
    'pgbouncer-elsewhere': {
      severity: 'error',
      title: 'The entry of PgBouncer does not lead to the source',
      why: 'The clients behind it write into another database than the one that is moved.',
      mend: 'Name the right entry or the right PgBouncer; endpoints[].hosts.source, if PgBouncer knows the source by another address.',
    },
    'pgbouncer-session-mode': {
      severity: 'error',
      title: 'PgBouncer pools by session',
      why: 'A pause waits until every client has disconnected, so it would never complete.',
      mend: 'pool_mode = transaction for this entry, if the application can do with it; then RELOAD.',
    },
    'pgbouncer-user-session-mode': {
      severity: 'warning',
      title: 'Some users are pooled by session',
      why: "A pool_mode of the user goes before that of the database: a pause waits until this user's clients have disconnected.",
      mend: 'Take pool_mode from the user, or see that its clients are disconnected at the switch.',
    },
    'pgbouncer-paused': {
      severity: 'warning',
      title: 'The entry of PgBouncer is paused or disabled',
      why: 'Somebody else has stopped it, and may start it again in the middle of the switch.',
      mend: 'RESUME or ENABLE it, or find out who needs it so.',
    },
    'pgbouncer-alias': {
      severity: 'error',
      title: 'Other entries of PgBouncer lead to the same database',
      why: 'A pause of one entry does not hold the others, and their clients would stay on the source, behind its fence, after the switch.',
      mend: 'Name each of them as an endpoint, too, or remove it.',
    },
  },
  find: async (open, look) => {
    const databases = await open.admin.show('databases');
    const entry = databases.find((row) => row['name'] === open.endpoint.database);
    if (!entry) return [unknown(open, databases)];
    const config = await settingsOf(open.admin);
    const source = await placeOfSource(open.endpoint, look.move);
    return [
      ...(await elsewhere(open, entry, source)),
      ...bySession(open, entry, config, await open.admin.show('users')),
      ...stopped(open, entry),
      ...(await aliases(open, look, databases, source)),
    ];
  },
});

const placeOf = (row: Row): Place => ({
  host: row['host'] ?? '',
  port: Number(row['port']),
  database: row['database'] ?? '',
});

const placeText = (place: Place): string => `${place.host || 'a Unix socket'}:${place.port}/${place.database}`;

function unknown({ endpoint }: OpenEndpoint, databases: Row[]): Found<EntryId> {
  const names = databases.map((row) => String(row['name'])).filter((name) => name !== 'pgbouncer');
  return {
    id: 'pgbouncer-database-unknown',
    evidence: `${endpoint.name} has no entry ${endpoint.database}; its entries are ${listed(names) || 'none'}`,
    repair: ['Name one of these in endpoints[].database, or add the entry to [databases] and RELOAD'],
  };
}

async function elsewhere({ endpoint }: OpenEndpoint, entry: Row, source: Place): Promise<Found<EntryId>[]> {
  const place = placeOf(entry);
  if (await samePlace(place, source)) return [];
  return [
    {
      id: 'pgbouncer-elsewhere',
      evidence: `${endpoint.database} of ${endpoint.name} leads to ${placeText(place)}, the source is ${placeText(source)}`,
      repair: [
        'Name the entry that leads to the source in endpoints[].database',
        'If it is the same server by another address: endpoints[].hosts.source',
      ],
    },
  ];
}

function bySession(
  { endpoint }: OpenEndpoint,
  entry: Row,
  config: Map<string, string>,
  users: Row[],
): Found<EntryId>[] {
  const mode = entry['pool_mode'] ?? config.get('pool_mode') ?? 'session';
  const found: Found<EntryId>[] = [];
  if (mode === 'session') {
    const own = entry['pool_mode'] !== null && entry['pool_mode'] !== undefined;
    found.push({
      id: 'pgbouncer-session-mode',
      evidence: `pool_mode of ${endpoint.database} in ${endpoint.name} is session${own ? '' : ', by the default of [pgbouncer]'}; expected transaction or statement`,
      repair: [`In [databases], in the entry ${endpoint.database}: pool_mode=transaction`, 'RELOAD'],
    });
  }
  const bySession = users.filter((user) => user['pool_mode'] === 'session').map((user) => String(user['name']));
  if (bySession.length > 0) {
    found.push({
      id: 'pgbouncer-user-session-mode',
      evidence: `pool_mode of ${listed(bySession)} in ${endpoint.name} is session`,
      repair: each(bySession, (user) => `In [users]: ${user} = pool_mode=transaction`),
    });
  }
  return found;
}

function stopped({ endpoint }: OpenEndpoint, entry: Row): Found<EntryId>[] {
  const paused = String(entry['paused']) === '1';
  const disabled = String(entry['disabled']) === '1';
  if (!paused && !disabled) return [];
  return [
    {
      id: 'pgbouncer-paused',
      evidence: `${endpoint.database} of ${endpoint.name} is ${paused ? 'paused' : 'disabled'}`,
      repair: [paused ? `RESUME ${endpoint.database}` : `ENABLE ${endpoint.database}`],
    },
  ];
}

/** Entries that lead to the source and that no endpoint of this database names. */
async function aliases(
  { endpoint }: OpenEndpoint,
  { move }: Look,
  databases: Row[],
  source: Place,
): Promise<Found<EntryId>[]> {
  const console = JSON.stringify(endpoint.admin);
  const named = move.database.endpoints.flatMap((other) =>
    other.kind === 'pgbouncer' && JSON.stringify(other.admin) === console ? [other.database] : [],
  );
  const others: string[] = [];
  for (const row of databases) {
    const name = String(row['name']);
    if (name === 'pgbouncer' || named.includes(name)) continue;
    if (await samePlace(placeOf(row), source)) others.push(name);
  }
  if (others.length === 0) return [];
  return [
    {
      id: 'pgbouncer-alias',
      evidence: `${listed(others)} of ${endpoint.name}: ${others.length === 1 ? 'leads' : 'lead'} to ${placeText(source)}, and no endpoint names ${others.length === 1 ? 'it' : 'them'}`,
      repair: each(
        others,
        (name) => `Add an endpoint with database: ${name}, or remove the entry ${literal(name)} and RELOAD`,
      ),
    },
  ];
}
