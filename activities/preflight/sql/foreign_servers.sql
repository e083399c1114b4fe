-- Where this database leads to by itself. Never an option that could hold a secret.
select 'foreign server ' || quote_ident(s.srvname) || ' (' || w.fdwname
       || coalesce((select ', ' || string_agg(o.option_name || ' ' || o.option_value, ', ' order by o.option_name)
                    from pg_catalog.pg_options_to_table(s.srvoptions) o
                    where o.option_name in ('host', 'hostaddr', 'port', 'dbname')), '') || ')' as name
from pg_catalog.pg_foreign_server s join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
union all
select 'dblink in ' || p.oid::regprocedure
from pg_catalog.pg_proc p
where p.oid >= 16384 and p.prosrc ~* '\mdblink(_connect|_exec|_open|_send_query)?\s*\('
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by 1
