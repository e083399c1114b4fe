-- Roles that own or are granted something in this database, and whether each is a superuser.
-- The bootstrap superuser owns things without a record of it, so it always counts.
select distinct r.rolname as name, r.rolsuper as super, d.classid::text as class, d.objid::text as object
from pg_catalog.pg_shdepend d
join pg_catalog.pg_roles r on d.refclassid = 'pg_catalog.pg_authid'::regclass and r.oid = d.refobjid
where d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
union all
select rolname, rolsuper, '0', '0' from pg_catalog.pg_roles where oid = 10
