-- Every type that the types `$1` contain, at any depth: elements, bounds, attributes and what domains stand on.
with recursive reachable(oid) as (
  select distinct wanted from unnest($1::oid[]) as wanted
  union
  select part.oid
  from reachable r
  join pg_catalog.pg_type t on t.oid = r.oid
  cross join lateral (
    select t.typelem where t.typoutput = 'pg_catalog.array_out'::regproc
    union all select t.typbasetype where t.typtype = 'd'
    -- version 13 has no rngmultitypid, so it is looked up by name
    union all select g.rngsubtype from pg_catalog.pg_range g
      where t.typtype in ('r', 'm') and t.oid in (g.rngtypid, (pg_catalog.to_jsonb(g) ->> 'rngmultitypid')::oid)
    union all select a.atttypid from pg_catalog.pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as part(oid)
)
select t.oid::text as oid, t.typname as name, n.nspname as schema,
  case when t.typoutput = 'pg_catalog.array_out'::regproc then 'array' else t.typtype::text end as kind,
  -- numbers below 16384 are the same on every server; later ones are handed out as they come
  (t.oid < 16384 and n.nspname = 'pg_catalog') as builtin,
  -- with typmod -1 the name never carries a length: "character" alone would mean character(1), and cut
  pg_catalog.format_type(t.oid, -1) as "castName",
  case when t.typtype = 'd' then t.typbasetype
       when t.typoutput = 'pg_catalog.array_out'::regproc then t.typelem
       else (select g.rngsubtype from pg_catalog.pg_range g
             where t.typtype in ('r', 'm') and t.oid in (g.rngtypid, (pg_catalog.to_jsonb(g) ->> 'rngmultitypid')::oid))
  end::text as part,
  (select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'type', a.atttypid::text) order by a.attnum)
   from pg_catalog.pg_attribute a
   where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as attributes,
  (select p.proname from pg_catalog.pg_proc p where p.oid = t.typsend) as send,
  (select pg_catalog.format('%I.%I', pn.nspname, p.proname)
   from pg_catalog.pg_proc p join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
   where p.oid = t.typoutput) as output
from reachable r
join pg_catalog.pg_type t on t.oid = r.oid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
