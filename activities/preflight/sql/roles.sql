-- Roles that own, or hold grants on, what is in scope: tables, their schemas and sequences. $1, $2: schemas and names.
with objects as (
  select c.relowner as owner, c.relacl as acl
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid
    and (c.relname = scope.table_name or c.relkind = 'S')
  union all
  select n.nspowner, n.nspacl from pg_catalog.pg_namespace n where n.nspname = any ($1::text[])
), named as (
  select owner as role from objects
  union
  select a.grantee from objects, aclexplode(objects.acl) a
)
select r.rolname as name, quote_ident(r.rolname) as quoted, r.rolcanlogin as login
from pg_catalog.pg_roles r
where r.oid in (select role from named) and r.rolname !~ '^pg_'
  -- A superuser that the target lacks is left out of the copied schema: managed servers have none of that name.
  and not r.rolsuper
order by 1
