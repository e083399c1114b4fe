select c.system_identifier::text as "systemIdentifier",
  current_setting('server_version') as "serverVersion",
  current_database() as database,
  (select rolsuper from pg_catalog.pg_roles where rolname = current_user) as superuser
from pg_catalog.pg_control_system() c
