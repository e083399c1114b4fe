-- Tables in scope with row security. `active`: it would hide rows from the role of this session. $1, $2: as ever.
select c.oid::regclass::text as name, row_security_active(c.oid) as active
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
where c.relrowsecurity
order by 1
