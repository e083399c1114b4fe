-- Publications of others that have tables in scope. $1, $2: schemas and names.
select p.pubname as name, p.puballtables as all, count(*)::int as tables
from pg_catalog.pg_publication p
join pg_catalog.pg_publication_tables t on t.pubname = p.pubname
join unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  on scope.schema_name = t.schemaname and scope.table_name = t.tablename
where p.pubname not like 'godwit\_%'
group by 1, 2
order by 1
