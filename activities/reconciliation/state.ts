/** What is kept of runs in the target's `godwit` schema: see sql/state.sql. One session, one transaction at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FindingCount, FindingSeverity, RunSummary, RunTable } from '../../spec/reconciliation.js';
import { failure } from '../failure.js';
import { sqlState } from '../postgres/errors.js';
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import type { ReconcileRun } from '../reconciliation-contract.js';
import type { RunCertificate } from './certificate.js';
import type { Finding } from './findings.js';

const STATE = statement(import.meta.url, './sql/state.sql');
/** Ids of a run's findings that a person has accepted; `$1` is the run. */
export const ACCEPTED = statement(import.meta.url, './sql/accepted.sql');

/** Held on the target by whoever compares or repairs: in one database never two at once. */
const LOCK = `hashtextextended('godwit reconciliation', 0)`;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const READ_ONLY = '25006';

/** Makes the tables where they aren't there. Fails with `PermissionDenied`, or `InvalidSpec` for a target that takes no writes. */
export async function haveState(target: Session): Promise<void> {
  try {
    if (await isCurrent(target)) return;
    await target.transaction(async () => {
      await target.rows(`select pg_advisory_xact_lock(hashtextextended('godwit schema', 0))`);
      if (!(await isCurrent(target))) await target.run(STATE);
    });
  } catch (error) {
    if (sqlState(error) !== READ_ONLY) throw error;
    throw failure(
      'InvalidSpec',
      'the target takes no writes, and what a reconciliation finds is kept there',
      'A physical standby is equal by its nature; name its primary as target.url and the standby as target.replica',
    );
  }
}

/** By what came last: tables that an older release made lack it. */
async function isCurrent(target: Session): Promise<boolean> {
  const known = await target.row<{ known: boolean }>(
    `select count(*) = 2 and to_regclass('godwit.reconciliation_watermark') is not null as known from pg_attribute
     where (attrelid, attname) in ((to_regclass('godwit.reconciliation_piece'), 'progress'), (to_regclass('godwit.reconciliation_run'), 'streams'))`,
  );
  return known?.known ?? false;
}

export async function hasState(target: Session): Promise<boolean> {
  const known = await target.row<{ known: boolean }>(
    `select to_regclass('godwit.reconciliation_watermark') is not null as known`,
  );
  return known?.known ?? false;
}

/** Who compares or repairs in this database now. */
export interface Busy {
  run: string;
  level: string;
  since: string;
}

/** How long the backend of an earlier attempt may take to end. */
const TAKEOVER_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 100;

/**
 * Takes the lock for as long as `session` lives; null once it is had. An earlier attempt of the same work is ended: its worker is
 * gone, or has lost its connection to Temporal.
 */
export async function takeTurn(session: Session, run: string): Promise<Busy | null> {
  const deadline = Date.now() + TAKEOVER_TIMEOUT_MS;
  for (;;) {
    const got = await session.row<{ got: boolean }>(`select pg_try_advisory_lock(${LOCK}) as got`);
    if (got?.got === true) {
      await session.run(
        `insert into godwit.reconciliation_turn (one, run, backend, since) values (true, $1, pg_backend_pid(), clock_timestamp())
         on conflict (one) do update set run = excluded.run, backend = excluded.backend, since = excluded.since`,
        [run],
      );
      return null;
    }
    const holder = await session.row<{ pid: number; run: string | null; level: string | null; since: string }>(
      `select l.pid, t.run, r.level, coalesce(t.since, clock_timestamp())::text as since
       from pg_locks l
       left join godwit.reconciliation_turn t on t.backend = l.pid
       left join godwit.reconciliation_run r on r.run = t.run
       where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database())
         and (l.classid::bigint << 32 | l.objid::bigint) = ${LOCK} and l.objsubid = 1`,
    );
    if (holder !== undefined && holder.run !== run) {
      return { run: holder.run ?? 'another', level: holder.level ?? 'unknown', since: holder.since };
    }
    if (Date.now() > deadline) {
      throw failure(
        'Blocked',
        'an earlier attempt of this run does not end',
        `Its backend is ${holder?.pid ?? 'gone'}`,
      );
    }
    if (holder !== undefined) await session.rows('select pg_terminate_backend($1)', [holder.pid]);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Gives the lock back at once, where the session goes on. */
export async function endTurn(session: Session): Promise<void> {
  await session.rows(`select pg_advisory_unlock(${LOCK})`);
}

export interface NewFinding extends Finding {
  severity: FindingSeverity;
  state: 'confirmed' | 'suspect';
  /** Hashes on primary and standby; null where there was no row. */
  seen?: [string | null, string | null] | undefined;
}

/** The run's row; its summary where it has ended before: the answer was lost. */
export async function beginRun(
  session: Session,
  { run, normal, level, workflow }: ReconcileRun,
): Promise<RunSummary | null> {
  const row = await session.row<{ summary: RunSummary | null }>(
    `with begun as (
       insert into godwit.reconciliation_run as r (run, reconciliation, level, workflow, state) values ($1, $2, $3, $4, 'running')
       on conflict (run) do update set
         state = case r.state when 'failed' then 'running' else r.state end,
         ended_at = case r.state when 'failed' then null else r.ended_at end
       returning summary
     ), over as (
       -- runs that were aborted, or whose worker never came back: nobody else has the turn
       update godwit.reconciliation_run set state = 'failed', ended_at = clock_timestamp() where state = 'running' and run <> $1
     )
     select summary from begun`,
    [run, normal.name, level, workflow],
  );
  return row?.summary ?? null;
}

/**
 * What the first attempt of a run has asked for before it read anything, whichever attempt asks now: rows that it compared may have
 * been changed since. Null where an attempt has compared rows and kept nothing.
 */
export async function firstAsked<T>(
  session: Session,
  run: string,
  what: 'watermarks' | 'streams',
  now: T,
): Promise<T | null> {
  const row = await session.row<{ kept: T | null }>(
    `update godwit.reconciliation_run r
     set ${what} = case when ${what} is null and not exists (
       select from godwit.reconciliation_piece p where p.run = r.run and (p.figures is not null or p.progress is not null))
       then $2::json else ${what} end
     where run = $1 returning ${what} as kept`,
    [run, JSON.stringify(now)],
  );
  return row?.kept ?? null;
}

/** Runs of a reconciliation that are kept: those of a month at the default rhythms, and more than trends ask for. */
const KEPT = 5_000;

export async function endRun(
  session: Session,
  summary: RunSummary,
  tables: RunTable[],
  certificate: RunCertificate,
): Promise<void> {
  await session.run(
    `update godwit.reconciliation_run
     set state = 'done', ended_at = clock_timestamp(), summary = $2, tables = $3, certificate = $4 where run = $1`,
    [summary.run, JSON.stringify(summary), JSON.stringify(tables), JSON.stringify(certificate)],
  );
  // what still waits for a person, what one has accepted, and what a repair may be undone from, stays
  await session.run(
    `delete from godwit.reconciliation_run r where reconciliation = $1 and run in (
       select run from godwit.reconciliation_run where reconciliation = $1 order by started_at desc offset ${KEPT})
       and not exists (select from godwit.reconciliation_repair p where p.run = r.run)
       and not exists (select from godwit.reconciliation_review v
                       join godwit.reconciliation_finding f on f.id = v.finding
                       where f.run = r.run and v.state in ('waiting', 'repair', 'accepted'))`,
    [summary.reconciliation],
  );
}

export async function addFindings(session: Session, run: string, findings: NewFinding[]): Promise<void> {
  for (let start = 0; start < findings.length; start += 5_000) {
    await session.run(
      `insert into godwit.reconciliation_finding
         (run, kind, severity, schema_name, table_name, key, columns, seen, side, count, detail, state)
       select $1, f.kind, f.severity, f.schema, f."table",
              case when f.key is not null then array(select json_array_elements_text(f.key)) end,
              case when f.columns is not null then array(select json_array_elements_text(f.columns)) end,
              case when f.seen is not null then array(select json_array_elements_text(f.seen)) end,
              f.side, f.count, f.detail, f.state
       from json_to_recordset($2::json)
         as f(kind text, severity text, schema text, "table" text, key json, columns json, seen json, side text, count bigint, detail text, state text)`,
      [
        run,
        JSON.stringify(
          findings
            .slice(start, start + 5_000)
            .map((one) => ({ ...one, key: orAbsent(one.key), columns: orAbsent(one.columns) })),
        ),
      ],
    );
  }
}

/** A null of JSON would be a value. */
const orAbsent = <T>(value: T | null): T | undefined => value ?? undefined;

/** What became of the findings of a run so far. */
export interface Standing extends Record<string, unknown> {
  repaired: number;
  /** But for those of low severity. */
  remaining: number;
  accepted: number;
}

const STANDING = `
  select coalesce(sum(count) filter (where f.state = 'repaired'), 0)::int as repaired,
         coalesce(sum(count) filter (where f.open and not f.accepted), 0)::int as remaining,
         coalesce(sum(count) filter (where f.open and f.accepted), 0)::int as accepted
  from (select count, state, state = 'confirmed' and severity <> 'low' as open, id in (${ACCEPTED}) as accepted
        from godwit.reconciliation_finding where run = $1) f`;

export async function standingOf(session: Session, run: string): Promise<Standing> {
  return (await session.row<Standing>(STANDING, [run])) ?? { repaired: 0, remaining: 0, accepted: 0 };
}

/** The run's summary says what is still there. */
export async function recount(session: Session, run: string): Promise<void> {
  await session.run(
    `update godwit.reconciliation_run r set summary = (r.summary::jsonb || to_jsonb(s))::json
     from (${STANDING}) s where r.run = $1 and r.summary is not null`,
    [run],
  );
}

/** By table and kind. */
export async function acceptedOf(session: Session, run: string): Promise<Omit<FindingCount, 'severity'>[]> {
  return session.rows<Omit<FindingCount, 'severity'> & Record<string, unknown>>(
    `select kind, schema_name as schema, table_name as "table", sum(count)::int as count
     from godwit.reconciliation_finding where run = $1 and id in (${ACCEPTED}) group by 1, 2, 3`,
    [run],
  );
}

/** One statement or transaction after another, from several lanes at once. */
export class Keeper {
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly session: Session) {}

  run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const next = this.#last.then(() => work(this.session));
    this.#last = next.catch(() => undefined);
    return next;
  }
}
