-- Who holds locks on these tables that keep writers out or would wait for them; never the text of a query. $1: the tables, as
-- JSON; $2: readers, too.
select distinct
  case when l.pid is null then 'prepared transaction' else coalesce(a.backend_type, 'backend') end as what,
  l.pid, a.usename as "user", a.application_name as application, a.client_addr::text as address, a.state,
  round(extract(epoch from clock_timestamp() - a.xact_start))::int as "ageSeconds",
  p.gid
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join json_to_recordset($1::json) as t(schema text, name text) on t.schema = n.nspname and t.name = c.relname
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
-- A prepared transaction keeps the virtual id that its backend had; only its lock on its own id tells which one it is.
left join pg_catalog.pg_locks own
  on l.pid is null and own.pid is null and own.locktype = 'transactionid' and own.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts p on p.transaction = own.transactionid
where l.granted and l.pid is distinct from pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and ($2::boolean
    or l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
order by "ageSeconds" desc nulls first
limit 10
