-- Relations of any kind that have the names of tables in scope. $1, $2: schemas and names.
select c.oid::regclass::text as name, n.nspname as schema, c.relname as table, c.relkind::text as kind
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
order by 1
