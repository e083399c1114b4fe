-- Tables in scope that inherit, or are inherited, otherwise than as partitions. $1, $2: schemas and names.
select parent.oid::regclass::text as parent, child.oid::regclass::text as child
from pg_catalog.pg_inherits i
join pg_catalog.pg_class parent on parent.oid = i.inhparent and parent.relkind = 'r'
join pg_catalog.pg_class child on child.oid = i.inhrelid and child.relkind = 'r'
where exists (
  select from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
  where c.oid in (parent.oid, child.oid)
)
order by 1, 2
