-- Foreign keys with one end in scope and one outside. $1, $2: schemas and names. Those of partitions come with their parent's.
with scope as (
  select c.oid
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
)
select quote_ident(k.conname) as name, k.conrelid::regclass::text as "from", k.confrelid::regclass::text as "to",
  k.conrelid in (select oid from scope) as leaving
from pg_catalog.pg_constraint k
where k.contype = 'f' and k.conparentid = 0
  and (k.conrelid in (select oid from scope)) <> (k.confrelid in (select oid from scope))
order by 2, 1
