-- Refuses writes for good. Logical apply passes: it fires no statement triggers, and its TRUNCATE says what it is.
-- Godwit's own copy passes by a token that only its session knows; the body holds the hash.
create or replace function godwit.:fence() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $fence$
begin
  if tg_op = 'TRUNCATE' then
    -- Apply is known by its process, which every role sees of itself: origins are for superusers to ask about.
    if exists (
      select from pg_catalog.pg_stat_activity a
      where a.pid = pg_catalog.pg_backend_pid() and a.backend_type like 'logical replication %') then
      return null;
    end if;
  end if;
  if pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
       coalesce(pg_catalog.current_setting('godwit.token', true), ''), 'UTF8')), 'hex') = :token_hash then
    return null;
  end if;
  raise exception using
    errcode = '25006',
    message = pg_catalog.format('cannot execute %s on %I.%I: another server takes its writes', tg_op, tg_table_schema, tg_table_name),
    hint = 'Connect to the primary. "godwit status" names it.';
end
$fence$
