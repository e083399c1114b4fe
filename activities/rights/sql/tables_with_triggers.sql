-- Which of these have triggers, those of foreign keys included. $1, $2: schemas and names.
select count(*)::int as count
from unnest($1::text[], $2::text[]) as t(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = t.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
where exists (
  select from pg_catalog.pg_trigger g where g.tgrelid = c.oid and g.tgname !~ '^godwit_fence_' and g.tgenabled <> 'D')
