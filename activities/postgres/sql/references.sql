-- Foreign keys of tables, each once: of a partitioned table, its own and not those of the partitions. $1: tables as JSON.
-- One that looks at a period (18) asks for more than a row of the same key, and is left out.
select con.conname as name,
       cn.nspname as child_schema, c.relname as child_table, pn.nspname as parent_schema, p.relname as parent_table,
       -- Rows of tables that inherit are neither bound by a foreign key nor found by one.
       case c.relkind when 'r' then 'only ' else '' end || format('%I.%I', cn.nspname, c.relname) as child_rows,
       case p.relkind when 'r' then 'only ' else '' end || format('%I.%I', pn.nspname, p.relname) as parent_rows,
       con.confmatchtype = 'f' as match_full,
       con.convalidated as validated,
       (select json_agg(json_build_object('mine', a.attname, 'theirs', b.attname,
                                          'equals', format('operator(%I.%s)', opn.nspname, op.oprname),
                                          'type', format_type(a.atttypid, -1)) order by k.n)
        from unnest(con.conkey, con.confkey, con.conpfeqop) with ordinality as k(mine, theirs, equals, n)
        join pg_catalog.pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.mine
        join pg_catalog.pg_attribute b on b.attrelid = con.confrelid and b.attnum = k.theirs
        join pg_catalog.pg_operator op on op.oid = k.equals
        join pg_catalog.pg_namespace opn on opn.oid = op.oprnamespace) as columns
from pg_catalog.pg_constraint con
join pg_catalog.pg_class c on c.oid = con.conrelid
join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
join pg_catalog.pg_class p on p.oid = con.confrelid
join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
join json_to_recordset($1::json) as s(schema text, name text) on s.schema = cn.nspname and s.name = c.relname
where con.contype = 'f' and con.conparentid = 0 and coalesce(to_jsonb(con) ->> 'conperiod', 'false') = 'false'
order by 2, 3, 1
