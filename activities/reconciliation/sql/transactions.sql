-- Transactions so far, which every backend tells once a second at most.
select sum(xact_commit + xact_rollback)::text as transactions from pg_catalog.pg_stat_database
