-- Sequences that columns of tables draw from, where a unique index would refuse a value twice. $1: tables as JSON.
with attached as (
  select d.objid as sequence, d.refobjid as tab, d.refobjsubid as attnum
  from pg_catalog.pg_depend d
  where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    and d.deptype in ('a', 'i') and d.refobjsubid > 0
  union
  select d.refobjid, def.adrelid, def.adnum
  from pg_catalog.pg_depend d
  join pg_catalog.pg_attrdef def on d.classid = 'pg_catalog.pg_attrdef'::regclass and def.oid = d.objid
  where d.refclassid = 'pg_catalog.pg_class'::regclass
)
select t.schema, t.name, a.attname as column, format('%I.%I', sn.nspname, s.relname) as sequence,
       quote_ident(a.attname) as quoted, case c.relkind when 'r' then 'only ' else '' end || format('%I.%I', n.nspname, c.relname) as rows,
       q.seqincrement > 0 as ascending, c.reltuples::float8 as "estimatedRows",
       has_sequence_privilege(s.oid, 'SELECT') and has_column_privilege(c.oid, a.attnum, 'SELECT') as readable,
       exists (
         select from pg_catalog.pg_index i
         join pg_catalog.pg_class ic on ic.oid = i.indexrelid
         join pg_catalog.pg_am am on am.oid = ic.relam and am.amname = 'btree'
         where i.indrelid = c.oid and i.indisvalid and i.indpred is null and i.indkey[0] = a.attnum) as indexed
from json_to_recordset($1::json) as t(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = t.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name and not c.relispartition
join attached on attached.tab = c.oid
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = attached.attnum
  and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
join pg_catalog.pg_class s on s.oid = attached.sequence
join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
-- One that cycles comes by its old values by intent.
join pg_catalog.pg_sequence q on q.seqrelid = s.oid and not q.seqcycle
where exists (
  select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey::int2[]))
order by 1, 2, 3
