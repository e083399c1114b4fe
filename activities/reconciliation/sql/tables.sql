-- What a comparison asks of tables. $1: their names as JSON. `bounds`: of a partition, so that two sides can be told to be cut alike.
select n.nspname as schema, c.relname as name,
       coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '') || coalesce(' by ' || pg_catalog.pg_get_partkeydef(c.oid), '') as bounds,
       case when c.relkind = 'r' then pg_catalog.pg_table_size(c.oid) else 0 end::float8 as bytes,
       (select coalesce(pg_catalog.json_agg(a.attname order by a.attnum), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_catalog.json_to_recordset($1::json) as s(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = s.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.name
