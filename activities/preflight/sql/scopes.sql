-- Other migrations that hold tables of this one. $1, $2: schemas and names; $3: our own key.
select a.migration, a.database, array_agg(format('%I.%I', t.schema_name, t.table_name) order by 1) as tables
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join godwit.scope_table t using (schema_name, table_name)
join godwit.authority a on a.scope = t.scope
where t.scope <> $3
group by 1, 2
order by 1, 2
