-- Tables in scope that are gone, or lack one of the two fence triggers in state ALWAYS and of the fence's function.
-- `CREATE OR REPLACE TRIGGER` and `ENABLE TRIGGER ALL` quietly reset ALWAYS to origin.
select s.schema_name as schema, s.table_name as name
from godwit.scope_table s
left join pg_catalog.pg_namespace n on n.nspname = s.schema_name
left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.table_name
where s.scope = $1
  and (select count(*) from pg_catalog.pg_trigger t
       where t.tgrelid = c.oid and t.tgname in ($2, $3) and t.tgenabled = 'A'
         and t.tgfoid = (select p.oid from pg_catalog.pg_proc p
                         where p.pronamespace = 'godwit'::regnamespace and p.proname = $4)) < 2
order by 1, 2
