-- The shape of each table in scope, one line a fact, as a person would name it. $1: tables as JSON.
with wanted as (
  select t.schema, t.name, c.oid, c.relkind, c.relreplident, c.relpersistence
  from json_to_recordset($1::json) as t(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
key_columns as (
  select i.indrelid, i.indisprimary, i.indisreplident,
         string_agg(a.attname, ', ' order by k.position) as columns
  from pg_catalog.pg_index i
  cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, position)
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where (i.indisprimary or i.indisreplident) and k.position <= i.indnkeyatts
  group by i.indexrelid, i.indrelid, i.indisprimary, i.indisreplident
)
select schema, name, '' as fact,
       case relpersistence when 'u' then 'unlogged ' else '' end
       || case relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'relation of kind ' || relkind::text end as value
from wanted
union all
select w.schema, w.name, 'column ' || a.attname,
       -- An extension may live in another schema there. What it sends and reads as text is the same.
       case when tn.nspname <> 'pg_catalog' and exists (
              select from pg_catalog.pg_depend d
              where d.classid = 'pg_catalog.pg_type'::regclass and d.objid in (t.oid, t.typelem) and d.deptype = 'e')
         then substr(pg_catalog.format_type(a.atttypid, a.atttypmod), length(quote_ident(tn.nspname)) + 2)
         else pg_catalog.format_type(a.atttypid, a.atttypmod) end
       || case when a.attnotnull then ' not null' else '' end
       || case when a.attgenerated <> '' then ' generated' else '' end
       || coalesce((select ' (' || string_agg(e.enumlabel, ', ' order by e.enumsortorder) || ')'
                    from pg_catalog.pg_enum e where e.enumtypid = a.atttypid), '')
from wanted w
join pg_catalog.pg_attribute a on a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
union all
select w.schema, w.name, 'primary key', k.columns
from wanted w join key_columns k on k.indrelid = w.oid and k.indisprimary
union all
select w.schema, w.name, 'replica identity',
       case w.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full'
         else 'index on ' || coalesce((select k.columns from key_columns k where k.indrelid = w.oid and k.indisreplident), '?') end
from wanted w
order by 1, 2, 3
