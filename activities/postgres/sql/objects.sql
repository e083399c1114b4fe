-- Objects of a database that a dump could make. `part`: made and dropped together with another one.
select o.classid::oid::text as class, o.objid::text as object, i.type, i.identity,
       exists (
         select from pg_catalog.pg_depend d
         where d.classid = o.classid and d.objid = o.objid and d.objsubid = 0 and d.deptype in ('i', 'a', 'e', 'P', 'S')
       ) as part
from (
  select 'pg_catalog.pg_namespace'::regclass as classid, oid as objid from pg_catalog.pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'godwit')
  union all select 'pg_catalog.pg_extension'::regclass, oid from pg_catalog.pg_extension
  union all select 'pg_catalog.pg_class'::regclass, oid from pg_catalog.pg_class
    where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and oid >= 16384 and relpersistence <> 't'
  union all select 'pg_catalog.pg_type'::regclass, oid from pg_catalog.pg_type where oid >= 16384
  union all select 'pg_catalog.pg_proc'::regclass, oid from pg_catalog.pg_proc where oid >= 16384
  union all select 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast where oid >= 16384
  union all select 'pg_catalog.pg_operator'::regclass, oid from pg_catalog.pg_operator where oid >= 16384
  union all select 'pg_catalog.pg_opclass'::regclass, oid from pg_catalog.pg_opclass where oid >= 16384
  union all select 'pg_catalog.pg_opfamily'::regclass, oid from pg_catalog.pg_opfamily where oid >= 16384
  union all select 'pg_catalog.pg_collation'::regclass, oid from pg_catalog.pg_collation where oid >= 16384
  union all select 'pg_catalog.pg_conversion'::regclass, oid from pg_catalog.pg_conversion where oid >= 16384
  union all select 'pg_catalog.pg_language'::regclass, oid from pg_catalog.pg_language where oid >= 16384
  union all select 'pg_catalog.pg_ts_config'::regclass, oid from pg_catalog.pg_ts_config where oid >= 16384
  union all select 'pg_catalog.pg_ts_dict'::regclass, oid from pg_catalog.pg_ts_dict where oid >= 16384
  union all select 'pg_catalog.pg_ts_parser'::regclass, oid from pg_catalog.pg_ts_parser where oid >= 16384
  union all select 'pg_catalog.pg_ts_template'::regclass, oid from pg_catalog.pg_ts_template where oid >= 16384
  union all select 'pg_catalog.pg_am'::regclass, oid from pg_catalog.pg_am where oid >= 16384
  union all select 'pg_catalog.pg_transform'::regclass, oid from pg_catalog.pg_transform where oid >= 16384
  union all select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper where oid >= 16384
  union all select 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger where oid >= 16384
) o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
where i.schema is distinct from 'godwit' and i.schema !~ '^pg_' is not false
order by o.classid, o.objid
