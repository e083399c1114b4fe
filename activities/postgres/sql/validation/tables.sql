-- What a comparison must know of each table: size, key and columns. `$1`: json of schema and name.
-- The key is the primary key, else the replica identity's index, else any unique index that can stand in for one.
select n.nspname as schema, c.relname as name, c.oid::text as oid,
  stored.rows as "estimatedRows",
  stored.bytes,
  key.columns as key,
  (select pg_catalog.json_agg(
     pg_catalog.json_build_object('name', a.attname, 'type', a.atttypid::text, 'notNull', a.attnotnull) order by a.attnum)
   from pg_catalog.pg_attribute a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from json_to_recordset($1::json) as wanted(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = wanted.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
-- A partitioned table has none of its own.
cross join lateral (
  -- reltuples is -1 before the first ANALYZE; a row of 100 bytes is then as good a guess as any
  select coalesce(sum(case when l.reltuples >= 0 then l.reltuples else pg_catalog.pg_relation_size(l.oid) / 100 end), 0)::float8 as rows,
    coalesce(sum(pg_catalog.pg_table_size(l.oid)), 0)::float8 as bytes
  from (select c.oid where c.relkind <> 'p'
        union all select t.relid from pg_catalog.pg_partition_tree(c.oid) t where c.relkind = 'p' and t.isleaf) part
  join pg_catalog.pg_class l on l.oid = part.oid
) stored
left join lateral (
  select (
    select pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', a.attname,
        'type', a.atttypid::text,
        'notNull', a.attnotnull,
        'equals', (
          select pg_catalog.format('operator(%I.%s)', op_n.nspname, op.oprname)
          from pg_catalog.pg_opclass class
          join pg_catalog.pg_amop am on am.amopfamily = class.opcfamily and am.amopstrategy = 3
            and am.amoplefttype = class.opcintype and am.amoprighttype = class.opcintype
          join pg_catalog.pg_operator op on op.oid = am.amopopr
          join pg_catalog.pg_namespace op_n on op_n.oid = op.oprnamespace
          where class.oid = i.indclass[k.position - 1]
        )) order by k.position)
    from unnest(i.indkey::int2[]) with ordinality as k(attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
    where k.position <= i.indnkeyatts
  ) as columns
  from pg_catalog.pg_index i
  join pg_catalog.pg_class ic on ic.oid = i.indexrelid
  join pg_catalog.pg_am am on am.oid = ic.relam and am.amname = 'btree'
  where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    and not exists (
      select from unnest(i.indkey::int2[]) with ordinality as k(attnum, position)
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where k.position <= i.indnkeyatts and not a.attnotnull
    )
  order by i.indisprimary desc, i.indisreplident desc, i.indexrelid
  limit 1
) key on true
order by 1, 2
