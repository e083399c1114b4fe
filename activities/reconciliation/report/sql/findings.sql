-- Findings of a run, those alike together; never a key. $1: run, $2: most lines, $3: ids of those that were accepted.
select kind, severity, schema_name as schema, table_name as table, side,
       case when id in (select unnest($3::bigint[])) then 'accepted' else state end as state, detail, sum(count)::float8 as count
from godwit.reconciliation_finding
where run = $1
group by kind, severity, schema_name, table_name, side, 6, detail
order by array_position(array['critical', 'high', 'medium', 'low'], severity), schema_name, table_name, kind, 6, side, detail
limit $2
