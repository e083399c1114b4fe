-- ATTACH, DETACH, DROP, a new partition and DISABLE TRIGGER ALL pass a fence of table triggers, so DDL on tables in scope
-- is refused while writes are. Other tables of the database are nobody's business here. After the deadline of a lease it
-- passes, as writes do: the cede then looks at every table and trigger itself.
create or replace function godwit.:ddl_fence() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $fence$
declare
  touched text;
begin
  -- What a switch itself does while clients wait; none of it touches a table.
  if tg_tag in ('CREATE FUNCTION', 'ALTER SEQUENCE', 'ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION') then
    return;
  end if;
  if pg_catalog.clock_timestamp() >= :deadline::pg_catalog.timestamptz then
    return;
  end if;
  if tg_event = 'sql_drop' then
    select o.object_identity into touched
    from pg_catalog.pg_event_trigger_dropped_objects() o
    join godwit.scope_table s
      on s.scope = :scope
     and ((o.object_type = 'table' and o.schema_name = s.schema_name and o.object_name = s.table_name)
       or (o.object_type in ('table column', 'table constraint', 'trigger', 'rule', 'policy')
           and o.address_names[1] = s.schema_name and o.address_names[2] = s.table_name))
    limit 1;
  else
    select c.object_identity into touched
    from pg_catalog.pg_event_trigger_ddl_commands() c
    left join pg_catalog.pg_trigger t on c.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = c.objid
    -- The table itself, what it is attached to, and what is attached to it: rows routed from a root that is nobody's
    -- business fire no statement trigger of the partition they end in.
    cross join lateral (
      select coalesce(t.tgrelid, case when c.classid = 'pg_catalog.pg_class'::regclass then c.objid end) as oid
      union all
      select i.inhparent from pg_catalog.pg_inherits i
      where c.classid = 'pg_catalog.pg_class'::regclass and i.inhrelid = c.objid
      union all
      select i.inhrelid from pg_catalog.pg_inherits i
      where c.classid = 'pg_catalog.pg_class'::regclass and i.inhparent = c.objid
    ) r
    join pg_catalog.pg_class k on k.oid = r.oid
    join pg_catalog.pg_namespace n on n.oid = k.relnamespace
    where exists (
        select from godwit.scope_table s
        where s.scope = :scope and s.schema_name = n.nspname and s.table_name = k.relname)
      -- One that was just renamed or moved to another schema is known by its fence alone.
      or exists (select from pg_catalog.pg_trigger f where f.tgrelid = k.oid and f.tgname = :trigger)
    limit 1;
  end if;
  if touched is not null then
    raise exception using
      errcode = '25006',
      message = pg_catalog.format('cannot execute %s on %s: another server takes its writes', tg_tag, touched),
      hint = 'Apply it on the primary. "godwit status" names it.';
  end if;
end
$fence$
