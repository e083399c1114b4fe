-- Ids of the findings of run $1 that a person has said may stay: the same row, and both sides as they were then.
select f.id
from godwit.reconciliation_finding f
join godwit.reconciliation_run r on r.run = f.run
join godwit.reconciliation_review v on v.reconciliation = r.reconciliation and v.state = 'accepted'
join godwit.reconciliation_finding o on o.id = v.finding
where f.run = $1 and f.state = 'confirmed'
  and (o.schema_name, o.table_name, o.kind, o.key) = (f.schema_name, f.table_name, f.kind, f.key)
  and o.seen is not distinct from f.seen
