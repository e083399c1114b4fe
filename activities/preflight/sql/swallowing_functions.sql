-- Functions that catch every error and go on: a handler that does nothing or returns, and none before it for the error
-- that a fence raises (25006). Comments are taken out first.
select p.oid::regprocedure::text as name
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
cross join lateral (
  select regexp_replace(regexp_replace(p.prosrc, '--[^\n]*', ' ', 'g'), '/\*.*?\*/', ' ', 'g') as text
) source
where l.lanname = 'plpgsql'
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit')
  and n.nspname !~ '^pg_'
  and source.text ~* 'when\s+others\s+then\s*(null\s*;|return\M|continue\M|exit\M|end\M|when\M)'
  and source.text !~* 'when\s+(read_only_sql_transaction|sqlstate\s+''25006'')'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 1
