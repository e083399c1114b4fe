-- Runs of a reconciliation that ended on a day, and such as failed or began on it, oldest first. $1: name, $2: day, in UTC.
select run, level, state, started_at as "startedAt", ended_at as "endedAt", summary, tables
from godwit.reconciliation_run
where reconciliation = $1
  and coalesce(ended_at, started_at) >= $2::date::timestamp at time zone 'UTC'
  and coalesce(ended_at, started_at) < ($2::date + 1)::timestamp at time zone 'UTC'
order by started_at
