-- Columns to copy, and whether COPY's binary format means the same on another server. Arrays, composites and ranges of
-- user-defined types carry OIDs, which differ between servers; reg* types are OIDs; extensions may change their format.
-- Enums travel by label. $1: tables as JSON.
with recursive resolved as (
  select a.attrelid, a.attnum, a.attname, a.atttypid as type, t.typtype, t.typbasetype
  from json_to_recordset($1::json) as w(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = w.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  join pg_catalog.pg_type t on t.oid = a.atttypid
  union all
  select r.attrelid, r.attnum, r.attname, t.oid, t.typtype, t.typbasetype
  from resolved r join pg_catalog.pg_type t on t.oid = r.typbasetype
  where r.typtype = 'd'
)
select n.nspname as schema, c.relname as name,
       array_agg(r.attname::text order by r.attnum) as columns,
       bool_and(t.typsend <> 0 and t.typreceive <> 0 and t.typcategory <> 'P'
                and (r.typtype = 'e' or t.oid < 16384)
                and coalesce(nullif(t.typelem, 0), t.oid)::regtype::text !~ '^reg') as binary
from resolved r
join pg_catalog.pg_type t on t.oid = r.type
join pg_catalog.pg_class c on c.oid = r.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where r.typtype <> 'd'
group by 1, 2
