-- Size of the tables in scope with their indexes and TOAST, and the planner's guess at their rows. $1, $2: schemas and
-- names. Estimates are -1 (0 before version 14) for what was never analysed.
select
  coalesce(sum(pg_table_size(c.oid)), 0)::float8 as bytes,
  coalesce(sum(pg_indexes_size(c.oid)), 0)::float8 as index_bytes,
  coalesce(sum(greatest(c.reltuples, 0)) filter (where c.relkind = 'r'), 0)::float8 as rows,
  count(*)::int as tables
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
where c.relkind in ('r', 'p')
