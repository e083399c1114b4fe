-- What the role of this session may do. $1, $2: schemas and names of the tables in scope.
with managed as (
  -- Providers give their administrators what only a superuser has elsewhere.
  select coalesce(bool_or(pg_has_role(r.oid, 'member')), false) as administrator
  from pg_catalog.pg_roles r
  where r.rolname in ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin')
), granted as (
  select coalesce(bool_or(r.rolname = 'rds_replication' and pg_has_role(r.oid, 'member')), false) as replication,
         coalesce(bool_or(r.rolname = 'pg_create_subscription' and pg_has_role(r.oid, 'usage')), false) as subscription,
         coalesce(bool_or(r.rolname = 'pg_read_all_stats' and pg_has_role(r.oid, 'usage')), false) as statistics
  from pg_catalog.pg_roles r
)
select
  quote_ident(current_user) as role,
  quote_ident(current_database()) as database,
  current_setting('server_version_num')::int as version_number,
  me.rolsuper as superuser,
  me.rolsuper or me.rolreplication or granted.replication as replication,
  me.rolsuper or granted.subscription or managed.administrator as subscription,
  has_database_privilege(current_database(), 'CREATE') as create_in_database,
  me.rolsuper or granted.statistics as statistics,
  has_function_privilege('pg_catalog.pg_replication_origin_session_is_setup()', 'EXECUTE') as origin,
  array(
    select distinct quote_ident(owner.rolname)
    from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
    join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
    join pg_catalog.pg_roles owner on owner.oid = c.relowner
    where not pg_has_role(c.relowner, 'usage')
    order by 1
  ) as foreign_owners
from pg_catalog.pg_roles me, managed, granted
where me.rolname = current_user
