-- Indexes of tables; of a partitioned table its own, not those that partitions have from it. $1: tables as JSON.
-- `definition`: without the index's name and what only its speed depends on.
select t.schema, t.name, ic.relname as index, i.indisvalid and i.indisready and i.indislive as valid, i.indisunique as unique,
       case c.relkind when 'r' then 'only ' else '' end || format('%I.%I', n.nspname, c.relname) as rows,
       regexp_replace(
         replace(replace(pg_get_indexdef(i.indexrelid), ' INDEX ' || quote_ident(ic.relname) || ' ON ', ' INDEX ON '),
                 ' INDEX ON ONLY ', ' INDEX ON '),
         ' WITH \((?:[a-z_]+=''[^'']*''(?:, )?)+\)', '') as definition,
       (select json_agg(pg_get_indexdef(i.indexrelid, k, false) order by k) from generate_series(1, i.indnkeyatts) k) as expressions,
       pg_get_expr(i.indpred, i.indrelid) as predicate,
       -- 15 and newer: null is then a value like any other.
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as "nullsEqual"
from json_to_recordset($1::json) as t(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = t.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
join pg_catalog.pg_index i on i.indrelid = c.oid
join pg_catalog.pg_class ic on ic.oid = i.indexrelid and not ic.relispartition
order by 1, 2, 3
