-- Ordinary tables in scope whose rows an UPDATE or DELETE can't name on the other side. $1, $2: schemas and names.
with scope as (
  select c.oid, c.oid::regclass::text as name, c.relreplident
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
  where c.relkind = 'r'
), usable as (
  -- As REPLICA IDENTITY USING INDEX asks: unique, valid, at once, not partial, columns only, none of them nullable.
  select i.indrelid, i.indexrelid, i.indisprimary, i.indisreplident
  from pg_catalog.pg_index i
  where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
    and not exists (
      select from unnest(i.indkey) with ordinality as k(attnum, position)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.position <= i.indnkeyatts and not a.attnotnull
    )
)
select
  s.name,
  s.relreplident::text as identity,
  (select quote_ident(c.relname) from usable u join pg_catalog.pg_class c on c.oid = u.indexrelid
   where u.indrelid = s.oid order by u.indisprimary desc, c.relname limit 1) as usable_index,
  -- FULL compares whole rows, which these types can't: the subscription stops at the first UPDATE.
  array(
    select quote_ident(a.attname) || ' ' || format_type(a.atttypid, null) from pg_catalog.pg_attribute a
    left join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = s.oid and a.attnum > 0 and not a.attisdropped
      and (case when t.typelem <> 0 and t.typlen = -1 then t.typelem else a.atttypid end)::regtype::text in
        ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')
    order by a.attnum
  ) as incomparable,
  (case s.relreplident
    when 'd' then exists (select from usable u where u.indrelid = s.oid and u.indisprimary)
    when 'i' then exists (select from usable u where u.indrelid = s.oid and u.indisreplident)
    when 'f' then true
    else false
  end) as identified
from scope s
order by 1
