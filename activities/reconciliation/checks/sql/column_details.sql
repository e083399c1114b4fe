-- What tables give to new rows, and how they are partitioned, one line a fact. $1: tables as JSON.
with wanted as (
  select t.schema, t.name, c.oid, c.relkind, c.relispartition, c.relpartbound
  from json_to_recordset($1::json) as t(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
)
select w.schema, w.name, f.kind || a.attname as fact, f.value
from wanted w
join pg_catalog.pg_attribute a on a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
cross join lateral (values
  ('default of column ', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end),
  ('expression of generated column ', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end),
  ('identity of column ', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end),
  ('collation of column ', (select co.collname from pg_catalog.pg_collation co where co.oid = nullif(a.attcollation, 0))),
  -- Bounds and CYCLE are capped by a switch on the side that has ceded.
  ('sequence of column ', (
    select format('%s, by %s', string_agg(format_type(s.seqtypid, null), ''), string_agg(s.seqincrement::text, ''))
    from pg_catalog.pg_depend p join pg_catalog.pg_sequence s on s.seqrelid = p.objid
    where p.classid = 'pg_catalog.pg_class'::regclass and p.refclassid = 'pg_catalog.pg_class'::regclass
      and p.refobjid = a.attrelid and p.refobjsubid = a.attnum and p.deptype in ('a', 'i')
    having count(*) > 0))
) as f(kind, value)
where f.value is not null
union all
select schema, name, 'partitioned by', pg_get_partkeydef(oid) from wanted where relkind = 'p'
union all
select schema, name, 'partition', pg_get_expr(relpartbound, oid) from wanted where relispartition
order by 1, 2, 3
