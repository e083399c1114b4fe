-- Transactions so far, and whether clients other than Godwit do anything now.
select (select sum(xact_commit + xact_rollback) from pg_catalog.pg_stat_database)::text as transactions,
       exists (
         select from pg_catalog.pg_stat_activity a
         where a.backend_type = 'client backend' and a.state <> 'idle' and a.application_name !~ '^godwit '
       ) as active
