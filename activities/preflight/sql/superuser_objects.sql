-- What only a superuser makes, but extensions and what belongs to them.
select i.type || ' ' || i.identity as name, o.classid::regclass::text || '/' || o.objid::text as object, i.type, i.identity
from (
  select 'pg_catalog.pg_proc'::regclass as classid, p.oid as objid
    from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
    where p.oid >= 16384 and not l.lanpltrusted
  union all select 'pg_catalog.pg_language'::regclass, oid from pg_catalog.pg_language where oid >= 16384 and not lanpltrusted
  union all select 'pg_catalog.pg_type'::regclass, oid from pg_catalog.pg_type
    where oid >= 16384 and typtype = 'b' and typelem = 0 and typisdefined
  union all select 'pg_catalog.pg_opclass'::regclass, oid from pg_catalog.pg_opclass where oid >= 16384
  union all select 'pg_catalog.pg_opfamily'::regclass, oid from pg_catalog.pg_opfamily where oid >= 16384
  union all select 'pg_catalog.pg_ts_parser'::regclass, oid from pg_catalog.pg_ts_parser where oid >= 16384
  union all select 'pg_catalog.pg_ts_template'::regclass, oid from pg_catalog.pg_ts_template where oid >= 16384
  union all select 'pg_catalog.pg_am'::regclass, oid from pg_catalog.pg_am where oid >= 16384
  union all select 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger
    where evtname not like 'ddl\_fence\_%'
) o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
where not exists (
  select from pg_catalog.pg_depend d where d.classid = o.classid and d.objid = o.objid and d.deptype = 'e')
order by 1
