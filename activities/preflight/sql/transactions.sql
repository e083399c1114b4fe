-- Open transactions of clients, in all databases: each of them holds up the making of a slot. Never their text, which has
-- values in it. Who may not see others gets rows without a start, which are left out.
select pid, coalesce(usename::text, 'unknown') as "user", coalesce(nullif(application_name, ''), 'unnamed') as application,
  coalesce(datname::text, 'none') as database, state,
  extract(epoch from clock_timestamp() - xact_start)::float8 as age,
  extract(epoch from clock_timestamp() - state_change)::float8 as quiet,
  datname = current_database() as here
from pg_catalog.pg_stat_activity
where backend_type = 'client backend'
  and xact_start is not null
  and pid <> pg_backend_pid()
  and application_name not like 'godwit %'
order by xact_start
