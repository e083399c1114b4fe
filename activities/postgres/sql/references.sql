-- Foreign keys of tables in scope, each once: of a partitioned table, its own and not those of the partitions. $1: scope.
select con.conname as name,
       format('%s.%s', cn.nspname, c.relname) as child,
       format('%I.%I', cn.nspname, c.relname) as child_name,
       format('%s.%s', pn.nspname, p.relname) as parent,
       format('%I.%I', pn.nspname, p.relname) as parent_name,
       con.confmatchtype = 'f' as match_full,
       (select json_agg(json_build_array(quote_ident(a.attname), quote_ident(b.attname),
                                         format('operator(%I.%s)', opn.nspname, op.oprname)) order by k.n)
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
join godwit.scope_table s on s.scope = $1 and s.schema_name = cn.nspname and s.table_name = c.relname
  -- Rows of an unlogged table are those of the last switch: the next one carries them anew, with all their parents there.
  and to_jsonb(s) ->> 'unlogged' is null
where con.contype = 'f' and con.conparentid = 0
  -- NOT VALID: nobody was ever promised that its rows refer to something. NOT ENFORCED (18) the same.
  and con.convalidated
order by 2, 1
