-- Ordinary tables in scope whose rows an UPDATE or DELETE can't name on the other side. $1, $2: schemas and names.
with recursive scope as (
  select c.oid, c.oid::regclass::text as name, c.relreplident
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
  where c.relkind = 'r'
), usable as not materialized (
  -- Looked up by table: as a list, 10,000 tables read it 10,000 times (12 s).
  -- As REPLICA IDENTITY USING INDEX asks: unique, valid, at once, not partial, columns only, none of them nullable.
  select i.indrelid, i.indexrelid, i.indisprimary, i.indisreplident,
    -- Postgres takes such an index, and then never sends what it names a row by.
    array(
      select quote_ident(a.attname) from unnest(i.indkey) with ordinality as k(attnum, position)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.position <= i.indnkeyatts and a.attgenerated <> '' order by k.position
    ) as generated
  from pg_catalog.pg_index i
  where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
    and not exists (
      select from unnest(i.indkey) with ordinality as k(attnum, position)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.position <= i.indnkeyatts and not a.attnotnull
    )
), part(whole, type) as (
  -- Types of columns, and all that each contains. Ranges are left alone: their bounds are ordered.
  select distinct a.atttypid, a.atttypid
  from scope s join pg_catalog.pg_attribute a on a.attrelid = s.oid and a.attnum > 0 and not a.attisdropped
  union
  select p.whole, inner_type.oid
  from part p
  join pg_catalog.pg_type t on t.oid = p.type
  cross join lateral (
    select t.typelem where t.typoutput = 'pg_catalog.array_out'::regproc
    union all select t.typbasetype where t.typtype = 'd'
    union all select a.atttypid from pg_catalog.pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as inner_type(oid)
), incomparable as (
  -- json, xml, point, jsonpath, …: base types that neither sort nor hash by themselves, nor as what they are cast to.
  select distinct p.whole as type
  from part p
  join pg_catalog.pg_type t on t.oid = p.type and t.typtype = 'b' and t.typoutput <> 'pg_catalog.array_out'::regproc
  where t.typname not in ('int2vector', 'oidvector')
    and not exists (
      select from pg_catalog.pg_opclass c
      join pg_catalog.pg_am am on am.oid = c.opcmethod and am.amname in ('btree', 'hash')
      where c.opcdefault and (c.opcintype = t.oid or exists (
        select from pg_catalog.pg_cast k
        where k.castsource = t.oid and k.casttarget = c.opcintype and k.castmethod = 'b' and k.castcontext = 'i'))
    )
)
select
  s.name,
  s.relreplident::text as identity,
  (select quote_ident(c.relname) from usable u join pg_catalog.pg_class c on c.oid = u.indexrelid
   where u.indrelid = s.oid and u.generated = '{}' order by u.indisprimary desc, c.relname limit 1) as usable_index,
  -- FULL compares whole rows, which these types can't: the subscription stops at the first UPDATE.
  array(
    select quote_ident(a.attname) || ' ' || format_type(a.atttypid, null)
    from pg_catalog.pg_attribute a
    where a.attrelid = s.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and a.atttypid in (select i.type from incomparable i)
    order by a.attnum
  ) as incomparable,
  coalesce((select u.generated from usable u where u.indrelid = s.oid
            and case s.relreplident when 'd' then u.indisprimary when 'i' then u.indisreplident else false end), '{}') as generated,
  (case s.relreplident
    when 'd' then exists (select from usable u where u.indrelid = s.oid and u.indisprimary)
    when 'i' then exists (select from usable u where u.indrelid = s.oid and u.indisreplident)
    when 'f' then true
    else false
  end) as identified
from scope s
order by 1
