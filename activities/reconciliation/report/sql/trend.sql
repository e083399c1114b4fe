-- Runs of the same kind in the days before a run, and it itself, oldest first. $1: run, $2: days.
select r.run, r.ended_at as at, r.summary, r.tables
from godwit.reconciliation_run r
join godwit.reconciliation_run this on this.run = $1
where r.reconciliation = this.reconciliation and r.level = this.level and r.state = 'done'
  and r.summary ->> 'outcome' = 'done' and r.summary ->> 'incremental' = this.summary ->> 'incremental'
  and r.ended_at <= this.ended_at and r.ended_at > this.ended_at - make_interval(days => $2)
order by r.ended_at
