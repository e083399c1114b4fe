-- One digest over columns, types and partitions of the tables in scope: what DDL would change.
select coalesce(md5(string_agg(line, e'\n' order by line collate "C")), '') as signature
from (
  select format('%I.%I %s', s.schema_name, s.table_name,
                string_agg(format('%I %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated), ','
                           order by a.attname collate "C")) as line
  from godwit.scope_table s
  join pg_catalog.pg_namespace n on n.nspname = s.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where s.scope = $1
  group by s.schema_name, s.table_name
  union all
  select format('%I.%I is a partition of %I.%I', cn.nspname, child.relname, s.schema_name, s.table_name)
  from godwit.scope_table s
  join pg_catalog.pg_namespace n on n.nspname = s.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
  join pg_catalog.pg_inherits i on i.inhparent = c.oid
  join pg_catalog.pg_class child on child.oid = i.inhrelid
  join pg_catalog.pg_namespace cn on cn.oid = child.relnamespace
  where s.scope = $1
) lines
