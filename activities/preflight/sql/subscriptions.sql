-- Subscriptions of others, enabled, that write into tables in scope. $1, $2: schemas and names. The view has the OID
-- of a subscription for everybody to read, which the catalog has not.
select s.subname as name, array_agg(distinct c.oid::regclass::text order by c.oid::regclass::text) as tables
from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
join pg_catalog.pg_subscription_rel r on r.srrelid = c.oid
join pg_catalog.pg_stat_subscription s on s.subid = r.srsubid
join pg_catalog.pg_subscription p on p.subname = s.subname and p.subenabled
  and p.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
where s.subname not like 'godwit\_%'
group by 1
order by 1
