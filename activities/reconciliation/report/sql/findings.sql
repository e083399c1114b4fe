-- Findings of a run, those alike together; never a key. $1: run, $2: most lines.
select kind, severity, schema_name as schema, table_name as table, side, state, detail, sum(count)::float8 as count
from godwit.reconciliation_finding
where run = $1
group by kind, severity, schema_name, table_name, side, state, detail
order by array_position(array['critical', 'high', 'medium', 'low'], severity), schema_name, table_name, kind, state, side, detail
limit $2
