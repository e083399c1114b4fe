-- These types, and the number of what each is made of.
select t.oid::text as oid, t.typname as name, n.nspname as schema,
  case when t.typoutput = 'pg_catalog.array_out'::regproc then 'array' else t.typtype::text end as kind,
  -- numbers below 16384 are the same on every server; later ones are handed out as they come
  (t.oid < 16384 and n.nspname = 'pg_catalog') as builtin,
  -- with typmod -1 the name never carries a length: "character" alone would mean character(1), and cut
  pg_catalog.format_type(t.oid, -1) as "castName",
  case when t.typtype = 'd' then t.typbasetype
       when t.typoutput = 'pg_catalog.array_out'::regproc then t.typelem
       -- version 13 has no rngmultitypid, so it is looked up by name
       when t.typtype in ('r', 'm') then
         (select g.rngsubtype from pg_catalog.pg_range g
          where t.oid in (g.rngtypid, (pg_catalog.to_jsonb(g) ->> 'rngmultitypid')::oid))
  end::text as part,
  case when t.typtype = 'c' then
    (select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'type', a.atttypid::text) order by a.attnum)
     from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
  end as attributes,
  (select p.proname from pg_catalog.pg_proc p where p.oid = t.typsend) as send,
  (select pg_catalog.format('%I.%I', pn.nspname, p.proname)
   from pg_catalog.pg_proc p join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
   where p.oid = t.typoutput) as output
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.oid = any ($1::oid[])
