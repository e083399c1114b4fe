-- What holds locks on tables for long, and doesn't yield: index builds, and vacuums against wraparound.
select pid, 'index build' as what, relid::regclass::text as name from pg_catalog.pg_stat_progress_create_index
where datname = current_database()
union all
select v.pid, 'vacuum against wraparound', v.relid::regclass::text
from pg_catalog.pg_stat_progress_vacuum v
join pg_catalog.pg_stat_activity a on a.pid = v.pid
where v.datname = current_database() and a.query like 'autovacuum: %(to prevent wraparound)'
order by 1
