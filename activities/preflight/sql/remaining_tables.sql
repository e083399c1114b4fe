-- Tables of users that are not in scope; none where nothing is in scope. $1, $2: schemas and names.
select c.oid::regclass::text as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and not c.relispartition
  and n.nspname not in ('pg_catalog', 'information_schema', 'godwit') and n.nspname !~ '^pg_'
  and cardinality($1::text[]) > 0
  and not exists (
    select from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
    where scope.schema_name = n.nspname and scope.table_name = c.relname
  )
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by 1
