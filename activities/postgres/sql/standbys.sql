-- Physical standbys that are connected, and physical slots that nobody reads: each a server that may be promoted. A logical
-- walsender is connected to a database, a physical one to none; a base backup and one that stops are no standbys. Without
-- pg_read_all_stats everything but the process is hidden: one that can't be seen isn't there yet.
select coalesce(nullif(r.application_name, ''), 'unnamed') as name, s.slot_name as slot,
       coalesce(host(r.client_addr), 'local') as host, coalesce(r.state = 'streaming', true) as streaming, r.flush_lsn::text as "flushLsn"
from pg_catalog.pg_stat_replication r
join pg_catalog.pg_stat_activity a using (pid)
left join pg_catalog.pg_replication_slots s on s.active_pid = r.pid
where a.datid is null and (r.state is null or r.state in ('startup', 'catchup', 'streaming'))
union all
select s.slot_name, s.slot_name, 'nowhere', false, s.restart_lsn::text
from pg_catalog.pg_replication_slots s
where s.slot_type = 'physical' and not s.active and not s.temporary and s.restart_lsn is not null
order by 1, 2
