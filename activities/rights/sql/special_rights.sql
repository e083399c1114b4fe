-- What the role of this session may do that only some migrations need.
select
  me.rolname as role,
  d.datname as database,
  owner.rolname as owner,
  owner.rolsuper as "ownerIsSuperuser",
  pg_has_role(d.datdba, 'usage') as owns,
  pg_has_role('pg_signal_backend', 'usage') as signals,
  has_function_privilege('pg_catalog.pg_replication_origin_progress(text, boolean)', 'EXECUTE') as "asksProgress",
  current_setting('server_version_num')::int as "versionNumber"
from pg_catalog.pg_database d
join pg_catalog.pg_roles owner on owner.oid = d.datdba
join pg_catalog.pg_roles me on me.rolname = current_user
where d.datname = current_database()
