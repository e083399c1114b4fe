-- Pairs of tables in scope that a foreign key or inheritance joins. $1: tables as JSON.
with scope as (
  select c.oid, t.schema, t.name
  from json_to_recordset($1::json) as t(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
pair(one, other) as (
  select conrelid, confrelid from pg_catalog.pg_constraint where contype = 'f' and conrelid <> confrelid
  union
  select inhrelid, inhparent from pg_catalog.pg_inherits
)
select json_build_object('schema', a.schema, 'name', a.name) as one, json_build_object('schema', b.schema, 'name', b.name) as other
from pair
join scope a on a.oid = pair.one
join scope b on b.oid = pair.other
