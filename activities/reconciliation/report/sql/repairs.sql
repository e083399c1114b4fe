-- Repairs of a run, oldest first. $1: run.
select repair, what, by_whom as by, state, started_at as "startedAt", ended_at as "endedAt", summary
from godwit.reconciliation_repair where run = $1 order by started_at
