select quote_ident(e.evtname) as name, e.evtevent as event, e.evtenabled::text as enabled
from pg_catalog.pg_event_trigger e
where e.evtenabled <> 'D' and e.evtname not like 'ddl\_fence\_%'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e'
  )
order by 1
