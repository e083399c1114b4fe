-- $1, $2: schemas and names of the tables in scope.
select c.oid::regclass::text || '.' || quote_ident(a.attname) as name,
  case when a.attgenerated <> '' then 'generated' else 'large object' end as kind
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attgenerated <> '' or t.typname = 'lo' or t.oid = 'pg_catalog.oid'::regtype
order by 1
