-- What the role of this session may do on its side. $1, $2: schemas and names of the tables in scope.
with me as (
  select r.oid, r.rolname, r.rolsuper, r.rolreplication, r.rolinherit
  from pg_catalog.pg_roles r where r.rolname = current_user
),
scope as (
  select c.oid, c.relowner, c.relnamespace, n.nspname, c.relname
  from unnest($1::text[], $2::text[]) as t(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = t.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
),
owned as (
  select oid, relowner, nspname, relname from scope
  union
  -- Sequences that the switch carries: see postgres/sql/sequences.sql.
  select s.oid, s.relowner, n.nspname, s.relname
  from pg_catalog.pg_class s join pg_catalog.pg_namespace n on n.oid = s.relnamespace
  where s.relkind = 'S' and s.relnamespace in (select relnamespace from scope)
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = s.oid and d.deptype in ('a', 'i')
        and d.refobjid not in (select oid from scope))
  union
  -- Another migration of this database may have made it, as another role.
  select n.oid, n.nspowner, n.nspname, null from pg_catalog.pg_namespace n where n.nspname = 'godwit'
)
select
  me.rolname as role,
  current_database() as database,
  current_setting('server_version') as version,
  current_setting('server_version_num')::int as "versionNumber",
  me.rolsuper as superuser,
  me.rolsuper or me.rolreplication or coalesce((
    select pg_has_role(r.oid, 'member') from pg_catalog.pg_roles r where r.rolname = 'rds_replication'), false) as replication,
  me.rolsuper or coalesce((
    select pg_has_role(r.oid, 'usage') from pg_catalog.pg_roles r where r.rolname = 'pg_create_subscription'), false) as subscription,
  -- Providers give their administrators what only a superuser has elsewhere.
  coalesce((
    select bool_or(pg_has_role(r.oid, 'member')) from pg_catalog.pg_roles r
    where r.rolname in ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin')), false) as administrator,
  has_database_privilege(current_database(), 'CREATE') as "createInDatabase",
  me.rolsuper or coalesce((
    select pg_has_role(r.oid, 'usage') from pg_catalog.pg_roles r where r.rolname = 'pg_read_all_stats'), false) as statistics,
  -- Null before version 18.
  (select me.rolsuper or pg_has_role(r.oid, 'usage') from pg_catalog.pg_roles r
   where r.rolname = 'pg_signal_autovacuum_worker') as "signalAutovacuum",
  (select json_build_object(
     'rds', exists (select from pg_catalog.pg_roles where rolname = 'rds_superuser'),
     'aurora', to_regproc('pg_catalog.aurora_version') is not null,
     'cloudsql', exists (select from pg_catalog.pg_roles where rolname = 'cloudsqlsuperuser'))) as platforms,
  (select setting from pg_catalog.pg_settings where name = 'wal_level') as "walLevel",
  (select coalesce(json_agg(json_build_object(
       'name', o.rolname, 'superuser', o.rolsuper,
       'held', pg_has_role(o.oid, 'usage')
         -- Since 16 apply acts as a table's owner, which takes the option SET.
         and pg_has_role(o.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end),
       'objects', (select json_agg(t.name order by t.name) from (
          select coalesce(format('%I.%I', w.nspname, w.relname), 'schema ' || w.nspname) as name
          from owned w where w.relowner = o.oid order by 1 limit 5) t)) order by o.rolname), '[]')
   from pg_catalog.pg_roles o
   where o.oid in (select relowner from owned) and o.oid <> me.oid) as owners,
  (select coalesce(json_agg(json_build_object('name', n.nspname, 'held', has_schema_privilege(n.oid, 'USAGE'))
     order by n.nspname), '[]')
   from pg_catalog.pg_namespace n where n.oid in (select relnamespace from scope)) as schemas,
  -- Row security that binds owners, too: since 16 apply acts as the owner, and refuses to write under it.
  (select bool_or(row_security_active(s.oid))
   from scope s join pg_catalog.pg_class c on c.oid = s.oid where c.relrowsecurity and c.relforcerowsecurity) as "rowsHidden",
  (select coalesce(json_agg(json_build_object('name', o.rolname, 'bypass', o.rolbypassrls or o.rolsuper) order by o.rolname), '[]')
   from pg_catalog.pg_roles o
   where o.oid in (select s.relowner from scope s join pg_catalog.pg_class c on c.oid = s.oid
                   where c.relrowsecurity and c.relforcerowsecurity)) as "forcedOwners"
from me
