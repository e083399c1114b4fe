-- What the tables in scope are made of, a line a column and a constraint. Names of constraints are left out: tools
-- make their own. NOT NULL is the column's, though version 18 has constraints for it. $1, $2: schemas and names.
with scope as (
  select scope.schema_name || '.' || scope.table_name as name, c.oid, c.relkind
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
  where c.relkind in ('r', 'p')
)
select s.name as "table", 'table' as kind, '' as name,
  case s.relkind when 'p' then 'partitioned by ' || pg_get_partkeydef(s.oid)
    else coalesce('partition ' || pg_get_expr(c.relpartbound, c.oid), 'ordinary') end as definition,
  false as not_null, false as fillable
from scope s join pg_catalog.pg_class c on c.oid = s.oid
union all
select s.name, 'column', a.attname,
  format_type(a.atttypid, a.atttypmod)
    || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation::text else '' end
    || case when a.attgenerated <> '' then ' generated' else '' end,
  a.attnotnull,
  a.atthasdef or a.attidentity <> '' or not a.attnotnull
from scope s
join pg_catalog.pg_attribute a on a.attrelid = s.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
union all
select s.name,
  case k.contype when 'p' then 'primary key' when 'u' then 'unique constraint' when 'f' then 'foreign key'
    when 'c' then 'check constraint' when 'x' then 'exclusion constraint' else 'constraint' end,
  '', pg_get_constraintdef(k.oid), false, false
from scope s
join pg_catalog.pg_constraint k on k.conrelid = s.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
order by 1, 2, 3, 4
