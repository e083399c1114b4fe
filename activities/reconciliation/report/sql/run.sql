-- The run `$2` of the reconciliation `$1`; null: the newest that has ended, else the one that goes on.
select run, level, state, started_at as "startedAt", ended_at as "endedAt", summary, tables, certificate ->> 'digest' as digest,
       coalesce(certificate -> 'notChecked', '[]') as "notChecked"
from godwit.reconciliation_run
where reconciliation = $1 and ($2::text is null or run = $2)
order by state = 'running', started_at desc
limit 1
