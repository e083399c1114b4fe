-- Schemas of the tables in scope that are on the target already, and who may create in them.
-- $1: their names; $2: roles that will own tables there, of those that exist.
select n.nspname as schema, r.rolname as role,
       has_schema_privilege(r.oid, n.oid, 'CREATE') and has_schema_privilege(r.oid, n.oid, 'USAGE') as held
from pg_catalog.pg_namespace n
join pg_catalog.pg_roles r on r.rolname = any ($2::text[])
where n.nspname = any ($1::text[])
order by 1, 2
