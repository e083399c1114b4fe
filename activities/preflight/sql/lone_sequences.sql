-- Sequences that no column owns or names, in schemas without any table: the switch can't tell whose they are.
-- $1, $2: as ever.
select c.oid::regclass::text as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit') and n.nspname !~ '^pg_'
  and cardinality($1::text[]) > 0 and cardinality($2::text[]) > 0
  and not exists (
    select from pg_catalog.pg_class t where t.relnamespace = c.relnamespace and t.relkind in ('r', 'p')
  )
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e')
  )
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
  )
order by 1
