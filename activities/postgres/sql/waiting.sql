-- Sessions of one scope that wait for locks, and whom they wait for. $1: scope.
select distinct format('%s waits for %s of process %s (%s)', a.application_name, coalesce(lower(a.wait_event), 'a lock'),
                       b.pid, coalesce(nullif(b.application_name, ''), b.usename, b.backend_type)) as line
from pg_catalog.pg_stat_activity a
cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as blocking(pid)
join pg_catalog.pg_stat_activity b on b.pid = blocking.pid
where starts_with(a.application_name, 'godwit ' || $1)
   or a.pid in (select w.pid from pg_catalog.pg_stat_subscription w where w.subname like 'godwit\_' || $1 || '\_%')
order by 1 limit 5
