-- What a plan of ranges needs to know of each table that holds rows. $1: tables as JSON.
select t.schema, t.name, c.oid::text as oid,
       pg_catalog.pg_table_size(c.oid) as bytes,
       pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint as pages,
       k.attname as "keyColumn",
       -- Spread of the key's values; a snapshot of the last ANALYZE, good enough to make ranges of similar size.
       (select s.histogram_bounds::text::text[] from pg_catalog.pg_stats s
        where s.schemaname = t.schema and s.tablename = t.name and s.attname = k.attname and not s.inherited) as spread
from json_to_recordset($1::json) as t(schema text, name text, kind text)
join pg_catalog.pg_namespace n on n.nspname = t.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
left join lateral (
  select a.attname
  from pg_catalog.pg_index i
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
  where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
    and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
) k on true
where t.kind = 'r'
order by 4 desc, 1, 2
