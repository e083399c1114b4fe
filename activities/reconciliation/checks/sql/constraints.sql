-- Constraints that are no index: of a partitioned table, its own and not those that partitions have from it. $1: tables as JSON.
select t.schema, t.name, con.conname as constraint, con.convalidated as validated,
       regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', '') as definition,
       exists (select from pg_catalog.pg_trigger g where g.tgconstraint = con.oid and g.tgenabled = 'D') as disabled
from json_to_recordset($1::json) as t(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = t.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
join pg_catalog.pg_constraint con on con.conrelid = c.oid
where con.contype in ('f', 'c') and con.conparentid = 0 and con.coninhcount = 0
order by 1, 2, 3
