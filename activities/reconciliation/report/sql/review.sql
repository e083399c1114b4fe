-- Items of the review queue by state: those of the findings of run `$2`, and those of the reconciliation `$1` that wait.
select v.state, count(*) filter (where f.run = $2)::int as "ofRun", count(*)::int as "ofAll"
from godwit.reconciliation_review v join godwit.reconciliation_finding f on f.id = v.finding
where v.reconciliation = $1
group by v.state order by v.state
