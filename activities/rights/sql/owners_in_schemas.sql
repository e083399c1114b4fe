-- Who owns what in the schemas of the tables in scope, but tables that stay. $1, $2: as ever.
with scope as (
  select c.oid, c.relnamespace
  from unnest($1::text[], $2::text[]) as t(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = t.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
),
owned as (
  select relnamespace as schema, relowner as owner from pg_catalog.pg_class
    where relkind in ('v', 'm', 'S') or oid in (select oid from scope)
  union select pronamespace, proowner from pg_catalog.pg_proc
  union select typnamespace, typowner from pg_catalog.pg_type where typrelid = 0 and typelem = 0
)
select distinct n.nspname as schema, r.rolname as role
from owned o
join pg_catalog.pg_namespace n on n.oid = o.schema
join pg_catalog.pg_roles r on r.oid = o.owner
where o.schema in (select relnamespace from scope)
order by 1, 2
