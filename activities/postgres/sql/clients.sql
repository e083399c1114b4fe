-- Clients of this database, without Godwit's own and those that only replicate.
select coalesce(nullif(application_name, ''), 'unnamed') as application, coalesce(usename::text, 'unknown') as "user",
  coalesce(host(client_addr), 'local') as host, client_port as port
from pg_catalog.pg_stat_activity
where backend_type = 'client backend' and datname = current_database()
  and pid <> pg_backend_pid() and application_name not like 'godwit %'
order by 1, 2, 3
