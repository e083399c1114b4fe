-- Sequences that writes to the tables in scope draw from: owned by a column, named in a default, or attached to nothing in
-- a schema of the scope (an application that calls nextval('invoice_number') itself). Not those of tables out of scope.
-- `shared`: a column of a table out of scope owns it or names it in a default.
-- Unlogged ones (15 and newer) too: a sequence is carried by its value, not by the WAL.
with scope as (
  select c.oid, c.relnamespace
  from godwit.scope_table s
  join pg_catalog.pg_namespace n on n.nspname = s.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
  where s.scope = $1
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
)
select c.oid::text as oid, n.nspname as schema, c.relname as name,
       pg_catalog.pg_sequence_last_value(c.oid)::text as "lastValue",
       q.seqincrement::text as increment, q.seqmin::text as "minValue", q.seqmax::text as "maxValue",
       q.seqstart::text as start, q.seqcycle as cycle, q.seqcache::text as cache,
       exists (select from attached a where a.sequence = c.oid and a.tab not in (select oid from scope)) as shared
from pg_catalog.pg_class c
join pg_catalog.pg_sequence q on q.seqrelid = c.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and n.nspname <> 'godwit' and c.relpersistence <> 't'
  and (exists (select from attached a join scope s on s.oid = a.tab where a.sequence = c.oid)
    or (c.relnamespace in (select relnamespace from scope) and not exists (select from attached a where a.sequence = c.oid)))
order by 1, 2
