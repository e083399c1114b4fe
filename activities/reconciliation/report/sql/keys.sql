-- Keys of the findings of a run, on request. $1: run, $2: most rows, $3: ids of those that were accepted.
select kind, schema_name as schema, table_name as table, side,
       case when id in (select unnest($3::bigint[])) then 'accepted' else state end as state, key, columns
from godwit.reconciliation_finding
where run = $1 and key is not null
order by schema_name, table_name, kind, id
limit $2
