-- What goes forward on the side that receives: rows that arrive, indexes that are built. $1: scope.
select concat_ws(' ',
  (select sum(pg_catalog.pg_relation_size(c.oid))
   from godwit.scope_table s
   join pg_catalog.pg_namespace n on n.nspname = s.schema_name
   join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
   where s.scope = $1),
  (select string_agg(p.phase || p.blocks_done || ' ' || p.tuples_done, ' ' order by p.pid)
   from pg_catalog.pg_stat_progress_create_index p join pg_catalog.pg_stat_activity a using (pid)
   where starts_with(a.application_name, 'godwit ' || $1)),
  (select count(*) from pg_catalog.pg_index)) as progress
