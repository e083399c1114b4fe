-- Partitions, at any depth, of partitioned tables in scope that are not in scope themselves: made or attached since. $1: scope.
with recursive tree as (
  select c.oid, format('%s.%s', n.nspname, c.relname) as root
  from godwit.scope_table s
  join pg_catalog.pg_namespace n on n.nspname = s.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
  where s.scope = $1 and s.kind = 'p'
  union
  select i.inhrelid, tree.root from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid
)
select distinct on (1) format('%s.%s', n.nspname, c.relname) as partition, tree.root, n.nspname as schema, c.relname as name,
       format('CREATE TABLE %s PARTITION OF %s %s', c.oid::regclass, (select i.inhparent::regclass from pg_catalog.pg_inherits i where i.inhrelid = c.oid),
              pg_catalog.pg_get_expr(c.relpartbound, c.oid)) as statement
from tree
join pg_catalog.pg_class c using (oid)
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not exists (
  select from godwit.scope_table s where s.scope = $1 and s.schema_name = n.nspname and s.table_name = c.relname)
order by 1, 2
