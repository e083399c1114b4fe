-- ATTACH, DETACH, DROP, a new partition and DISABLE TRIGGER ALL pass a fence of table triggers, so DDL on tables in scope
-- is refused while writes are. Other tables of the database are nobody's business here. After the deadline of a lease it
-- passes, as writes do: the cede then looks at every table and trigger itself.
create or replace function godwit.:ddl_fence() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $fence$
declare
  touched text;
begin
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
    left join pg_catalog.pg_inherits i on c.classid = 'pg_catalog.pg_class'::regclass and i.inhrelid = c.objid
    join pg_catalog.pg_class r
      on r.oid in (i.inhparent, coalesce(t.tgrelid, case when c.classid = 'pg_catalog.pg_class'::regclass then c.objid end))
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
    join godwit.scope_table s on s.scope = :scope and s.schema_name = n.nspname and s.table_name = r.relname
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
