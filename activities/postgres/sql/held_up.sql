-- Sessions of others that have waited for a lock that one of this scope holds: DDL behind the copy's snapshot, and all that
-- queues behind it. $1: scope.
select format('process %s (%s) has waited %s s for the copy to give a table back', a.pid,
              coalesce(nullif(a.application_name, ''), a.usename), extract(epoch from clock_timestamp() - a.query_start)::int) as line
from pg_catalog.pg_stat_activity a
where a.wait_event_type = 'Lock' and not starts_with(a.application_name, 'godwit ')
  and exists (
    select from unnest(pg_catalog.pg_blocking_pids(a.pid)) as blocking(pid)
    join pg_catalog.pg_stat_activity b on b.pid = blocking.pid
    where starts_with(b.application_name, 'godwit ' || $1))
order by a.query_start limit 3
