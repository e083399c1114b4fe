/** What else lives on the source and doesn't move with its tables: jobs, and ways that lead elsewhere. */
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, type Found } from './check.js';
import { each, listed } from './evidence.js';

const FOREIGN_SERVERS = statement(import.meta.url, './sql/foreign_servers.sql');

interface Job {
  name: string;
  /** What stops it; null: it is stopped. */
  stop: string | null;
}

/** Never a job's command, which may hold anything. pg_cron shows a role its own jobs alone, unless it is a superuser. */
const PG_CRON = `
  select format('job %s of pg_cron%s (%s, %s, as %s)', jobid, coalesce(' ' || nullif(to_jsonb(j) ->> 'jobname', ''), ''), schedule,
                case when active then 'active' else 'off' end, username) as name,
         case when active then format('SELECT cron.alter_job(%s, active := false)', jobid) end as stop
  from cron.job j where database = current_database() order by jobid`;

const PGAGENT = `
  select format('job %s of pgAgent %s (%s)', jobid, jobname, case when jobenabled then 'enabled' else 'off' end) as name,
         case when jobenabled then format('UPDATE pgagent.pga_job SET jobenabled = false WHERE jobid = %s', jobid) end as stop
  from pgagent.pga_job order by jobid`;

const JOBS = [
  { schema: 'cron', table: 'cron.job', sql: PG_CRON },
  { schema: 'pgagent', table: 'pgagent.pga_job', sql: PGAGENT },
];

type JobId = 'scheduled-job' | 'scheduled-jobs-hidden';

export const scheduledJobs = defineCheck<JobId>({
  topic: 'Neighbours',
  on: 'source',
  rules: {
    'scheduled-job': {
      severity: 'warning',
      title: 'Scheduled jobs run on the source',
      why: 'They stay there: from the switch on the fence refuses what they write into tables in scope, and what they write into others nobody on the target sees.',
      mend: 'Make them on the target, to be activated after the switch, and stop them on the source just before it.',
    },
    'scheduled-jobs-hidden': {
      severity: 'warning',
      title: "The role of the migration can't see the scheduled jobs",
      why: 'A scheduler is there, and what it runs stays on the source.',
      mend: 'Ask an administrator for its jobs; GRANT the role USAGE on the schema and SELECT on the table to have them named here.',
    },
  },
  find: async (source) => {
    const found: Found<JobId>[] = [];
    for (const { schema, table, sql } of JOBS) {
      const access = await accessTo(source, schema, table);
      if (access === 'hidden') found.push({ id: 'scheduled-jobs-hidden', evidence: table, repair: [] });
      const jobs = access === 'seen' ? await source.rows<Job & Record<string, unknown>>(sql) : [];
      if (jobs.length === 0) continue;
      found.push({
        id: 'scheduled-job',
        evidence: listed(jobs.map(({ name }) => name)),
        repair: each(
          jobs.filter(({ stop }) => stop !== null),
          ({ stop }) => `Just before the switch, on the source: ${stop ?? ''}`,
        ),
      });
    }
    return found;
  },
});

async function accessTo(session: Session, schema: string, table: string): Promise<'absent' | 'hidden' | 'seen'> {
  const there = await session.row<{ relation: string | null; usable: boolean }>(
    `select c.oid::text as relation, has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as usable
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and n.nspname || '.' || c.relname = $2`,
    [schema, table],
  );
  if (there === undefined) return 'absent';
  return there.usable ? 'seen' : 'hidden';
}

export const foreignServers = defineCheck<'leads-elsewhere'>({
  topic: 'Neighbours',
  on: 'source',
  rules: {
    'leads-elsewhere': {
      severity: 'warning',
      title: 'The source connects to other databases',
      why: 'Foreign servers, their user mappings and foreign tables are not copied, and the target may reach those places by another network, or not at all. Functions that use dblink come along, with the addresses that they name.',
      mend: 'Make foreign servers and user mappings on the target, and see that it reaches where they and dblink lead.',
    },
  },
  find: async (source) => {
    const rows = await source.rows<{ name: string }>(FOREIGN_SERVERS);
    if (rows.length === 0) return [];
    return [{ id: 'leads-elsewhere', evidence: listed(rows.map(({ name }) => name)), repair: [] }];
  },
});
