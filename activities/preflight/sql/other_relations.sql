-- Relations of users' schemas that logical replication doesn't carry.
-- `root`: what a partition belongs to at the top.
select n.nspname as schema, c.relname as name, c.oid::regclass::text as quoted,
  coalesce(rn.nspname, n.nspname) as root_schema, coalesce(r.relname, c.relname) as root_name,
  case
    when c.relpersistence = 't' then 'temporary'
    when c.relkind = 'f' then 'foreign'
    else 'unlogged'
  end as kind
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class r on r.oid = pg_catalog.pg_partition_root(c.oid)
left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where (c.relkind = 'f' or (c.relkind in ('r', 'p') and c.relpersistence in ('u', 't')))
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit')
  and (n.nspname !~ '^pg_' or c.relpersistence = 't')
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by 1, 2
