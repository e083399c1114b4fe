-- Ends the sessions that began before this side said that it is read-only, as far as this role may. Not Godwit's own, and
-- not those that replicate. $1: scope; $2: roles or null; $3: values of application_name or null.
select count(*) filter (where pg_terminate_backend(a.pid))::int as ended
from pg_catalog.pg_stat_activity a
join godwit.read_only_hint hint on hint.scope = $1
join pg_catalog.pg_roles them on them.oid = a.usesysid
join pg_catalog.pg_roles me on me.rolname = current_user
where a.backend_type = 'client backend'
  and a.datname = current_database()
  and a.pid <> pg_backend_pid()
  and a.application_name not like 'godwit %'
  and a.backend_start < hint.since
  and ($2::text[] is null or a.usename = any ($2::text[]))
  and ($3::text[] is null or a.application_name = any ($3::text[]))
  and (me.rolsuper
       or not them.rolsuper and (pg_has_role('pg_signal_backend', 'usage') or pg_has_role(them.oid, 'usage')))
