-- What a change stream does not tell of tables ($1: json of schema and name). `mark`: what becomes another one when the table is
-- rewritten, replaced by another of its name, or given other columns: rows are others then, and no change tells it. `relation`: its
-- number as messages have it; `columns`: in their order there. `toldWhole`: messages hold rows as they were,
-- too. `apart`: whether any value is stored apart: messages leave out those that an UPDATE left alone.
select n.nspname as schema, c.relname as name, c.oid::bigint::bit(32)::int as relation,
  pg_relation_filenode(c.oid)::text || ' ' || hashtextextended(a.columns, 0)::text as mark,
  c.reltoastrelid <> 0 and pg_relation_size(c.reltoastrelid) > 0 as apart,
  a.published as columns, c.relreplident = 'f' as "toldWhole"
from json_to_recordset($1::json) as wanted(schema text, name text)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
cross join lateral (
  select coalesce(string_agg(concat_ws(' ', attnum, attname, atttypid, atttypmod, attgenerated), ',' order by attnum), '') as columns,
    coalesce(array_agg(attname::text order by attnum) filter (where attgenerated = ''), '{}') as published
  from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
) a
where c.relkind = 'r'
