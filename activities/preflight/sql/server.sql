-- Columns of pg_database come and go with versions; through to_jsonb a missing one is null.
select
  current_setting('server_version_num')::int as version_number,
  current_setting('server_version') as version,
  pg_is_in_recovery() as in_recovery,
  (select system_identifier::text from pg_catalog.pg_control_system()) as system_identifier,
  d.oid::text as database_oid,
  d.datname as database,
  pg_encoding_to_char(d.encoding) as encoding,
  coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') as locale_provider,
  d.datcollate as collate,
  d.datctype as ctype,
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as icu_locale,
  to_jsonb(d) ->> 'datcollversion' as collation_version
from pg_catalog.pg_database d
where d.datname = current_database()
