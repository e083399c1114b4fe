-- Sequences that tables in scope and others draw from; or that are attached to nothing, in a schema of which a part moves.
-- $1, $2: schemas and names of the scope.
with scope as (
  select c.oid, c.relnamespace
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
),
attached as (
  select d.objid as sequence, d.refobjid as tab
  from pg_catalog.pg_depend d
  where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
  union
  select d.refobjid, def.adrelid
  from pg_catalog.pg_depend d
  join pg_catalog.pg_attrdef def on d.classid = 'pg_catalog.pg_attrdef'::regclass and def.oid = d.objid
  where d.refclassid = 'pg_catalog.pg_class'::regclass
),
others as (
  select t.oid, t.relnamespace
  from pg_catalog.pg_class t
  where t.relkind in ('r', 'p') and t.relpersistence <> 't' and t.oid not in (select oid from scope)
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = t.oid and d.deptype = 'e')
)
select c.oid::regclass::text as name,
       coalesce((select array_agg(distinct a.tab::regclass::text) from attached a where a.sequence = c.oid), '{}') as tables
from pg_catalog.pg_class c
where c.relkind = 'S' and c.relpersistence <> 't'
  and case
    when exists (select from attached a where a.sequence = c.oid)
      then exists (select from attached a where a.sequence = c.oid and a.tab in (select oid from scope))
       and exists (select from attached a where a.sequence = c.oid and a.tab in (select oid from others))
    else c.relnamespace in (select relnamespace from scope) and c.relnamespace in (select relnamespace from others)
  end
order by 1
