-- Workers of autovacuum on these tables, found by the locks they hold: pg_stat_progress_vacuum doesn't know of ANALYZE, whose lock is the same.
select a.pid
from pg_catalog.pg_stat_activity a
where a.backend_type = 'autovacuum worker' and a.datname = current_database() and a.query not like '%wraparound%'
  and exists (
    select from pg_catalog.pg_locks l
    join pg_catalog.pg_class c on c.oid = l.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join json_to_recordset($1::json) as t(schema text, name text) on t.schema = n.nspname and t.name = c.relname
    where l.pid = a.pid and l.granted and l.database = a.datid)
