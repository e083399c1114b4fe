-- Every table a user may have made: ordinary and partitioned, not temporary, not of an extension, not ours.
-- `root`: what a partition belongs to at the top, and a partitioned table itself. `parents`: what others inherit from.
select n.nspname as schema, c.relname as name, c.relkind as kind, c.relpersistence = 'u' as unlogged,
       rn.nspname as "rootSchema", r.relname as "rootName",
       (select coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', p.relname) order by i.inhseqno), '[]')
        from pg_catalog.pg_inherits i
        join pg_catalog.pg_class p on p.oid = i.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
        where i.inhrelid = c.oid and not c.relispartition) as parents
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class r on r.oid = pg_catalog.pg_partition_root(c.oid)
left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where c.relkind in ('r', 'p')
  and c.relpersistence in ('p', 'u')
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit')
  and n.nspname !~ '^pg_'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by 1, 2
