-- Places in the lock table that all sessions share, and how many are taken now. Postgres has a little more than it promises:
-- one place a transaction for its auxiliary processes, and a tenth on top. What is locked by the fast path takes none.
select current_setting('max_locks_per_transaction')::int as "perTransaction",
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int as transactions,
       (select count(*)::int from pg_catalog.pg_locks where not fastpath and locktype not in ('virtualxid', 'transactionid')) as used
