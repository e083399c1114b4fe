-- Refuses writes until the deadline. State and deadline are in the body: state in a table is read by the snapshot of a
-- REPEATABLE READ transaction from before, which then writes through. clock_timestamp(), since now() stands still in a
-- transaction. Whoever passes after the deadline says so first, outside of any transaction: the cede requires nobody did.
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
  if pg_catalog.clock_timestamp() >= :deadline::pg_catalog.timestamptz then
    perform pg_catalog.nextval(:breach::pg_catalog.regclass);
    return null;
  end if;
  raise exception using
    errcode = '25006',
    message = pg_catalog.format('cannot execute %s on %I.%I: its writes are moving to another server', tg_op, tg_table_schema, tg_table_name),
    hint = 'Connect again; within seconds either this server or the new one takes writes.';
end
$fence$
