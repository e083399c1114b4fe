-- Columns that name a row in a replicated UPDATE or DELETE. $1: tables as JSON.
select t.schema, t.name,
       coalesce((
         select array_agg(a.attname::text order by a.attnum)
         from pg_catalog.pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           and (c.relreplident = 'f' or exists (
             select from pg_catalog.pg_index i
             where i.indrelid = c.oid and a.attnum = any (i.indkey)
               and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end))
       ), '{}') as columns
from json_to_recordset($1::json) as t(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = t.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
