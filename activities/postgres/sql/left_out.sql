-- Tables out of scope, what is Godwit's own, foreign servers, and everything that stands on any of these.
-- $1: the tables in scope, as JSON.
with recursive root(classid, objid) as (
  select 'pg_catalog.pg_class'::regclass::oid, c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join json_to_recordset($1::json) as t(schema text, name text) on t.schema = n.nspname and t.name = c.relname
  where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and t.name is null
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
  union all
  select 'pg_catalog.pg_namespace'::regclass, oid from pg_catalog.pg_namespace where nspname = 'godwit'
  union all
  select 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server
),
left_out(classid, objid) as (
  select classid, objid from root
  union
  select d.owner_class, d.owner_object
  from left_out l
  cross join lateral (
    select d.classid as owner_class, d.objid as owner_object
    from pg_catalog.pg_depend d
    where d.refclassid = l.classid and d.refobjid = l.objid and d.deptype in ('n', 'a', 'i', 'P', 'S')
    union all
    -- A view goes with its rule, though it is the rule that depends on the view.
    select d.refclassid, d.refobjid
    from pg_catalog.pg_depend d
    where l.classid = 'pg_catalog.pg_rewrite'::regclass
      and d.classid = l.classid and d.objid = l.objid and d.deptype = 'i'
  ) d
)
select l.classid::text as class, l.objid::text as object,
       (select format('%s.%s', t.schema, t.name)
        from json_to_recordset($1::json) as t(schema text, name text)
        join pg_catalog.pg_namespace n on n.nspname = t.schema
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
        where c.oid = coalesce((select a.adrelid from pg_catalog.pg_attrdef a
                                where l.classid = 'pg_catalog.pg_attrdef'::regclass and a.oid = l.objid),
                               case when l.classid = 'pg_catalog.pg_class'::regclass then l.objid end)) as needed_by
from left_out l
