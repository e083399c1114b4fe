-- Primary keys of one integer column, whose greatest value an index answers at once. $1, $2: schemas and names.
select c.oid::regclass::text as name, n.nspname as schema, c.relname as table, a.attname as column,
  t.typname as type, power(2::numeric, t.typlen * 8 - 1)::text as "limit"
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name and c.relkind = 'r'
join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
join pg_catalog.pg_type t on t.oid = a.atttypid and t.typname in ('int2', 'int4', 'int8')
-- Who may not read a table is told so by the check of rights.
where has_column_privilege(c.oid, a.attnum, 'SELECT')
order by 1
