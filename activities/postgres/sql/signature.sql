-- One digest over columns, types, partitions and persistence of the tables in scope: what DDL would change.
with scope as (
  select c.oid
  from godwit.scope_table s
  join pg_catalog.pg_namespace n on n.nspname = s.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
  where s.scope = $1
),
named as (
  select c.oid, format('%I.%I', n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
)
select coalesce(md5(string_agg(line, e'\n' order by line collate "C")), '') as signature
from (
  select format('%s %s', t.name,
                string_agg(format('%I %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated), ','
                           order by a.attname collate "C")) as line
  from scope
  join named t using (oid)
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  group by t.name
  union all
  -- Permanent ones have no line, so that scopes from before unlogged tables could move keep their digest.
  select format('%s is unlogged', t.name)
  from scope join named t using (oid) join pg_catalog.pg_class c using (oid)
  where c.relpersistence = 'u'
  union all
  select format('%s is a partition of %s', child.name, parent.name)
  from pg_catalog.pg_inherits i
  join named child on child.oid = i.inhrelid
  join named parent on parent.oid = i.inhparent
  -- A root out of scope, too: rows routed from it fire no statement trigger of the partition.
  where (i.inhparent in (select oid from scope) or i.inhrelid in (select oid from scope))
    -- DETACH CONCURRENTLY commits its first half before any event trigger can refuse it; reads by the root miss the rows
    -- from then on. The column is there since version 14.
    and not coalesce((to_jsonb(i) ->> 'inhdetachpending')::boolean, false)
) lines
