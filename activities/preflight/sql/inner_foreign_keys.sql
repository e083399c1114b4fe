-- Foreign keys with both ends in scope, and the columns that they join. $1, $2: schemas and names. Those of partitions come with their parent's.
with scope as (
  select c.oid, n.nspname, c.relname
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
)
select quote_ident(k.conname) as name,
  json_build_object('schema', child.nspname, 'name', child.relname) as child,
  json_build_object('schema', parent.nspname, 'name', parent.relname) as parent,
  (select json_agg(json_build_object(
       'mine', quote_ident(a.attname), 'theirs', quote_ident(b.attname),
       'equals', format('operator(%I.%s)', opn.nspname, op.oprname)) order by j.n)
   from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality as j(mine, theirs, equals, n)
   join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = j.mine
   join pg_catalog.pg_attribute b on b.attrelid = k.confrelid and b.attnum = j.theirs
   join pg_catalog.pg_operator op on op.oid = j.equals
   join pg_catalog.pg_namespace opn on opn.oid = op.oprnamespace) as columns
from pg_catalog.pg_constraint k
join scope child on child.oid = k.conrelid
join scope parent on parent.oid = k.confrelid
where k.contype = 'f' and k.conparentid = 0 and k.convalidated
order by 2::text, 1
