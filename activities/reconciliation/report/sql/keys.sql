-- Keys of the findings of a run, on request. $1: run, $2: most rows.
select kind, schema_name as schema, table_name as table, side, state, key, columns
from godwit.reconciliation_finding
where run = $1 and key is not null
order by schema_name, table_name, kind, id
limit $2
