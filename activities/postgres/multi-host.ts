/**
 * Clients that have both hosts in their URL, and take the one whose sessions may write (libpq: target_session_attrs =
 * read-write). They go by `default_transaction_read_only`, so the database of the side that is not the primary says `on`:
 * from before the target has any table of the source, until they are gone again. It is a hint and never safety: any session can set
 * it off, and the fence refuses its writes all the same. Apply workers write on in spite of it.
 */
import type { NormalMultiHost } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove } from '../contract.js';
import type { EndpointContext, EndpointHandle } from '../endpoint-handle.js';
import { failure } from '../failure.js';
import { guarded } from './authority.js';
import type { Session } from './session.js';
import { otherSide, type Sides } from './sides.js';
import { identifier, literal, statement } from './statements.js';

const READ_ONLY_DEFAULT = statement(import.meta.url, './sql/read_only_default.sql');
const END_SESSIONS = statement(import.meta.url, './sql/end_sessions.sql');

const CLOSED = 'on';

/** What each database sets for itself; null: nothing, the server's default holds. */
type Settings = Record<Primary, string | null>;

export class MultiHostClients implements EndpointHandle {
  readonly pauses = false;
  readonly #context: EndpointContext;

  constructor(
    readonly endpoint: NormalMultiHost,
    context: EndpointContext,
  ) {
    this.#context = context;
  }

  get name(): string {
    return this.endpoint.name;
  }

  /** The target's setting is known from before the copy; what the source says now may be newer. */
  async prove(known: string | null): Promise<string> {
    const { sides } = this.#context.attempt;
    for (const side of [sides.source, sides.target]) await requireOwner(side);
    if (known === null)
      return imageOf({ source: await settingOf(sides.source), target: await settingOf(sides.target) });
    const settings = settingsOf(known);
    if ((await this.#context.attempt.read('source')).state !== 'open') return known;
    return imageOf({ ...settings, source: await settingOf(sides.source) });
  }

  pause(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /**
   * Both hints first, then the end of the sessions that were told otherwise: a driver that connects anew must find the
   * right side. A crash in between leaves sessions that meet the fence; the next call ends them.
   */
  async pointAt(side: Primary, image: string): Promise<void> {
    const found = settingsOf(image);
    const closed = otherSide(side);
    // A target that was read-only when it was found is the primary now, so it can't stay that.
    const open = side === 'target' && isOn(found.target) ? null : found[side];
    await Promise.all([this.#write(side, open), this.#write(closed, CLOSED)]);
    await this.#endSessions(closed);
  }

  async resume(): Promise<void> {}

  /** A session that had read its settings, and was not listed yet, when the others were ended. */
  async sweep(primary: Primary): Promise<void> {
    await this.#endSessions(otherSide(primary));
  }

  async close(): Promise<void> {}

  /** Only while the fence of that side says the same. Writes nothing where nothing is to change. */
  async #write(side: Primary, value: string | null): Promise<void> {
    const { attempt } = this.#context;
    const session = attempt.sides.of(side);
    const closed = value === CLOSED;
    const hinted = await session.row('select from godwit.read_only_hint where scope = $1', [attempt.key]);
    if ((await settingOf(session)) === value && (hinted !== undefined) === closed) return;
    await attempt.guardedBatch(side, { states: [closed ? 'closed' : 'open'] }, [
      await setStatement(session, value),
      closed ? rememberHint(attempt.key, null) : forgetHint(attempt.key),
    ]);
  }

  async #endSessions(closed: Primary): Promise<void> {
    const { attempt } = this.#context;
    const session = attempt.sides.of(closed);
    await session.run('update godwit.read_only_hint set since = clock_timestamp() where scope = $1 and since is null', [
      attempt.key,
    ]);
    await session.rows(END_SESSIONS, [attempt.key, this.endpoint.roles, this.endpoint.applications]);
  }
}

/**
 * The target says that it is read-only before it has a table of the source: a driver that names it first would find one that
 * is half copied (seen: it wrote into the new table before the fence was there, and the copy refused to begin). Nobody is
 * disconnected. The before-image is kept before anything is changed.
 */
export async function raiseHint(sides: Sides, move: DatabaseMove): Promise<void> {
  const endpoint = endpointOf(move);
  if (endpoint === undefined) return;
  for (const side of [sides.source, sides.target]) await requireOwner(side);
  const image = imageOf({ source: await settingOf(sides.source), target: await settingOf(sides.target) });
  await sides.source.run(
    `insert into godwit.endpoint_image (scope, endpoint, image) values ($1, $2, $3) on conflict do nothing`,
    [move.key, endpoint.name, image],
  );
  const set = await setStatement(sides.target, CLOSED);
  await guarded(sides.target, move.key, { states: ['closed'], side: 'target' }, () =>
    sides.target.batch([set, rememberHint(move.key, '-infinity')]),
  );
}

/** Writes back what both databases set before. Fine when nothing was changed, and to run again. */
export async function lowerHint(sides: Sides, move: DatabaseMove): Promise<void> {
  const endpoint = endpointOf(move);
  if (endpoint === undefined) return;
  const known = await sides.source.row<{ known: boolean }>(
    `select to_regclass('godwit.endpoint_image') is not null as known`,
  );
  if (known?.known !== true) return;
  const kept = await sides.source.row<{ image: string }>(
    'select image from godwit.endpoint_image where scope = $1 and endpoint = $2',
    [move.key, endpoint.name],
  );
  if (kept === undefined) return;
  const found = settingsOf(kept.image);
  // With the image goes the wish to write it back: what somebody sets afterwards is theirs.
  const forget = `delete from godwit.endpoint_image where scope = ${literal(move.key)} and endpoint = ${literal(endpoint.name)}`;
  await restore(sides.target, move.key, found.target, []);
  await restore(sides.source, move.key, found.source, [forget]);
}

async function restore(session: Session, key: string, value: string | null, last: string[]): Promise<void> {
  const known = await session.row<{ known: boolean }>(
    `select to_regclass('godwit.read_only_hint') is not null as known`,
  );
  const change = (await settingOf(session)) === value ? [] : [await setStatement(session, value)];
  await session.transact([...change, ...(known?.known === true ? [forgetHint(key)] : []), ...last]);
}

const endpointOf = ({ database }: DatabaseMove): NormalMultiHost | undefined =>
  database.endpoints.find((one) => one.kind === 'multiHost');

/** ALTER DATABASE is the owner's. Fails with `PermissionDenied`, nothing changed. */
async function requireOwner(session: Session): Promise<void> {
  const mine = await session.row<{
    role: string;
    database: string;
    owner: string;
    ownedBySuperuser: boolean;
    owns: boolean;
  }>(
    `select quote_ident(current_user) as role, quote_ident(datname) as database, datdba::regrole::text as owner,
            (select rolsuper from pg_catalog.pg_roles where oid = datdba) as "ownedBySuperuser", pg_has_role(datdba, 'usage') as owns
     from pg_catalog.pg_database where datname = current_database()`,
  );
  if (mine === undefined || mine.owns) return;
  throw failure(
    'PermissionDenied',
    `${mine.role} may not set default_transaction_read_only for the database ${mine.database} of the ${session.side}`,
    `Only its owner may: ${mine.ownedBySuperuser ? `ALTER DATABASE ${mine.database} OWNER TO ${mine.role}` : `GRANT ${mine.owner} TO ${mine.role}`}; nothing was changed`,
  );
}

async function settingOf(session: Session): Promise<string | null> {
  return (await session.row<{ value: string | null }>(READ_ONLY_DEFAULT))?.value ?? null;
}

async function setStatement(session: Session, value: string | null): Promise<string> {
  const [row] = await session.rows<{ name: string }>('select current_database() as name');
  const database = `alter database ${identifier(row?.name ?? '')}`;
  if (value === null) return `${database} reset default_transaction_read_only`;
  return `${database} set default_transaction_read_only = ${literal(value)}`;
}

/** Not before the hint is committed is it known since when new sessions see it: null until then. */
function rememberHint(key: string, since: '-infinity' | null): string {
  const value = since === null ? 'null' : literal(since);
  return `insert into godwit.read_only_hint (scope, since) values (${literal(key)}, ${value}) on conflict do nothing`;
}

const forgetHint = (key: string): string => `delete from godwit.read_only_hint where scope = ${literal(key)}`;

const isOn = (value: string | null): boolean => value !== null && /^(on?|t(r(ue?)?)?|y(es?)?|1)$/i.test(value);

const imageOf = (settings: Settings): string => JSON.stringify(settings);

function settingsOf(image: string): Settings {
  const { source, target } = JSON.parse(image) as Settings;
  return { source, target };
}
