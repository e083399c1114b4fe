-- Every table that may hold rows of a user, with what it is a part of. `bounds`: of a partition, so that two sides can be told to cut alike.
select n.nspname as schema, c.relname as name, c.relkind as kind,
       rn.nspname as "rootSchema", r.relname as "rootName",
       coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '') || coalesce(' by ' || pg_catalog.pg_get_partkeydef(c.oid), '') as bounds,
       case when c.relkind = 'r' then pg_catalog.pg_table_size(c.oid) else 0 end::float8 as bytes,
       (select coalesce(pg_catalog.json_agg(a.attname order by a.attnum), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class r on r.oid = pg_catalog.pg_partition_root(c.oid)
left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where c.relkind in ('r', 'p')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit')
  and n.nspname !~ '^pg_'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by 1, 2
