/**
 * How checks read: in transactions that write nothing and statements that end in time. What a server refuses or doesn't
 * finish is said, with its message as far as it can't hold a row.
 */
import type { Primary } from '../../../spec/status.js';
import { sqlState } from '../../postgres/errors.js';
import { Session } from '../../postgres/session.js';
import { otherSide } from '../../postgres/sides.js';
import { literal } from '../../postgres/statements.js';
import type { Asking, CheckRun, Finding, NotChecked } from '../findings.js';

export { SIDES } from '../../../spec/reconciliation.js';

export const sessionOf = (run: Asking, side: Primary): Session => (side === 'source' ? run.source : run.target);
export const primaryOf = (run: Asking): Session => sessionOf(run, run.primary);
export const standbyOf = (run: Asking): Session => sessionOf(run, otherSide(run.primary));

/** Settings as users are given them: what rules of theirs were written for. */
export interface AsUsers {
  searchPath?: string;
  timeZone?: string;
}

/** `work` in one snapshot. */
export async function reading<T>(
  run: Asking,
  session: Session,
  work: () => Promise<T>,
  settings: AsUsers = {},
): Promise<T> {
  run.signal.throwIfAborted();
  return session.transaction(async () => {
    await session.batch([
      `set local statement_timeout = ${Math.ceil(run.normal.limits.statementTimeout)}`,
      // A list as it stands in the setting, which SET would take for one name.
      ...(settings.searchPath === undefined
        ? []
        : [`select set_config('search_path', ${literal(settings.searchPath)}, true)`]),
      ...(settings.timeZone === undefined ? [] : [`set local timezone = ${literal(settings.timeZone)}`]),
    ]);
    return work();
  }, 'begin isolation level repeatable read, read only');
}

/** What could not be done goes to `notChecked`, and null is answered. Throws when a connection is lost, or the run is to stop. */
export async function attempted<T>(
  run: Asking,
  what: string,
  notChecked: NotChecked[],
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    run.signal.throwIfAborted();
    if (run.source.lost || run.target.lost || sqlState(error) === undefined) throw error;
    notChecked.push({ what, why: whyOf(error, run.normal.limits.statementTimeout, run.timeoutSetting) });
    return null;
  }
}

export const QUERY_CANCELED = '57014';

/** Messages of these classes name objects and settings; those of others may quote a value. */
const WITHOUT_ROWS = /^(42|25|0A|55|57)/;

/** Postgres's message, without what it quotes where that may come from a row. */
export function whyOf(error: unknown, statementTimeout: number, setting = 'limits.statementTimeout'): string {
  const state = sqlState(error) ?? '';
  if (state === QUERY_CANCELED) {
    return `a statement did not finish within ${setting} (${statementTimeout / 1_000} s), or was cancelled`;
  }
  const said = error instanceof Error ? error.message : '';
  const message = said.replace(/^could not run a statement on the \w+: /, '').replace(/ \(SQLSTATE \w+\)$/, '');
  if (WITHOUT_ROWS.test(state)) return `${message} (SQLSTATE ${state})`;
  // Data exceptions of the server's own; what functions raise may hold anything.
  if (state.startsWith('22')) return `${message.replace(/"[^]*"/g, '"…"').replace(/:[^]*$/, '')} (SQLSTATE ${state})`;
  return `the server answered with SQLSTATE ${state}`;
}

/** What every new session of this role is given in the database, without what Godwit's own sessions set. */
export async function settingsGiven(
  run: Pick<Asking, 'normal'>,
  side: Primary,
  names: string[],
): Promise<Map<string, string>> {
  await using session = await Session.open(side, run.normal[side].url, {
    purpose: `${run.normal.name} settings`,
    asGiven: true,
  });
  const rows = await session.rows<{ name: string; setting: string }>(
    'select name, setting from pg_catalog.pg_settings where name = any ($1) order by name',
    [names],
  );
  return new Map(rows.map(({ name, setting }) => [name, setting]));
}

/** As `reading` takes them. */
export async function asUsers(run: Pick<Asking, 'normal'>, side: Primary): Promise<Required<AsUsers>> {
  const given = await settingsGiven(run, side, ['search_path', 'TimeZone']);
  return { searchPath: given.get('search_path') ?? '"$user", public', timeZone: given.get('TimeZone') ?? 'UTC' };
}

export const isInRecovery = async (session: Session): Promise<boolean> =>
  (await session.row<{ standby: boolean }>('select pg_is_in_recovery() as standby'))?.standby ?? false;

/** A severity of the check's own, unless the user has given the kind one. */
export function usually(
  run: CheckRun,
  kind: Finding['kind'],
  severity: NonNullable<Finding['severity']>,
): Pick<Finding, 'severity'> {
  return run.normal.severity.kinds[kind] === undefined ? { severity } : {};
}

/** A finding about two databases or a table, and not about a row. */
export function drift(finding: Partial<Finding> & Pick<Finding, 'detail'>): Finding {
  return { kind: 'drift', schema: '', table: '', key: null, columns: null, side: null, count: 1, ...finding };
}
