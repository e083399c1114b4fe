-- Which table an index or a constraint belongs to.
select i.indexrelid::text as object, n.nspname as schema, c.relname as name
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indexrelid >= 16384
union all
select k.oid::text, n.nspname, c.relname
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where k.oid >= 16384
