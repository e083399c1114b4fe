/**
 * What stops an apply worker, in the server's own words where SQL can read them: pg_stat_subscription_stats only counts.
 * The words are in the server log, which a role with pg_read_server_files (or a superuser) may read where the logging collector
 * writes it. Best effort: nothing rests on it.
 */
import type { Session } from '../session.js';

/** An apply error repeats every few seconds, so it is near the end. */
const TAIL_BYTES = 256 * 1024;

/** Null: SQL doesn't tell. Without rows: the lines DETAIL are not read. */
export async function applyErrorOf(receiver: Session, subscription: string): Promise<string | null> {
  try {
    const words = [await lastError(receiver, subscription), ...(await conflictsOf(receiver, subscription))];
    const known = words.filter((word) => word !== null);
    return known.length === 0 ? null : known.join('; ');
  } catch {
    return null;
  }
}

/** Since version 18 conflicts are counted by kind: https://www.postgresql.org/docs/18/logical-replication-conflicts.html */
async function conflictsOf(receiver: Session, subscription: string): Promise<string[]> {
  const rows = await receiver.rows<{ kind: string; count: string }>(
    `select replace(substr(c.key, 7), '_', ' ') as kind, c.value as count
     from pg_stat_subscription_stats s cross join lateral jsonb_each_text(to_jsonb(s)) c
     where s.subid = $1::oid and starts_with(c.key, 'confl_') and c.value <> '0'`,
    [subscription],
  );
  return rows.map(({ kind, count }) => `${count} conflicts of the kind "${kind}"`);
}

async function lastError(receiver: Session, subscription: string): Promise<string | null> {
  const row = await receiver.row<{ tail: Buffer | null }>(
    `select case when pg_current_logfile('stderr') is null then null else
       pg_read_binary_file(pg_current_logfile('stderr'),
         greatest(0, (pg_stat_file(pg_current_logfile('stderr'))).size - $1), $1, true) end as tail`,
    [TAIL_BYTES],
  );
  return row?.tail == null ? null : errorIn(row.tail.toString('utf8'), subscription);
}

/** The newest error of one subscription's apply worker in a log of the format `stderr`. Exported for tests. */
export function errorIn(log: string, subscription: string): string | null {
  const lines = log.split('\n');
  const context = lines.findLastIndex((line) => line.includes(`for replication origin "pg_${subscription}"`));
  if (context < 0) return null;
  const error = lines.slice(0, context).findLast((line) => line.includes('ERROR:  '));
  const message = error?.slice(error.indexOf('ERROR:  ') + 'ERROR:  '.length);
  if (message === undefined) return null;
  const [, operation = 'a change', table = 'a table'] =
    /message type "([^"]+)"(?: for replication target relation "([^"]+)")?/.exec(lines[context] ?? '') ?? [];
  return `${operation} on ${table}: ${withoutValues(message)}`;
}

/** Messages about values quote them; names of constraints and columns are quoted, too, and are what helps. */
function withoutValues(message: string): string {
  return /^(invalid|value|malformed|date|time|cannot cast|new row)/.test(message)
    ? message.replaceAll(/"[^"]*"/g, '"…"')
    : message;
}
