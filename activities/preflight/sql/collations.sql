-- Versions of the collations that columns in scope name, on this server. $1, $2: schemas and names of the tables.
select distinct n.nspname || '.' || co.collname as name, pg_collation_actual_version(co.oid) as version, co.collversion as recorded
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace tn on tn.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = tn.oid and c.relname = scope.table_name
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_collation co on co.oid = a.attcollation
join pg_catalog.pg_namespace n on n.oid = co.collnamespace
where pg_collation_actual_version(co.oid) is not null
order by 1
