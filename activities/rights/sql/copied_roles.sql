-- Roles, but superusers, that own something that a copy of the schema would make, that it says may use it, or that have
-- granted that to others. $1: what is left out, as `class/oid`.
with grants as (
  select 'pg_catalog.pg_class'::regclass::oid as classid, oid as objid, relowner as owner, relacl as acl from pg_catalog.pg_class
  union all select 'pg_catalog.pg_class'::regclass, c.oid, c.relowner, a.attacl
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid where a.attacl is not null
  union all select 'pg_catalog.pg_namespace'::regclass, oid, nspowner, nspacl from pg_catalog.pg_namespace
  union all select 'pg_catalog.pg_proc'::regclass, oid, proowner, proacl from pg_catalog.pg_proc
  union all select 'pg_catalog.pg_type'::regclass, oid, typowner, typacl from pg_catalog.pg_type
),
granting as (
  select distinct a.grantor as role
  from grants g cross join lateral aclexplode(g.acl) a
  where a.grantor <> g.owner and not g.classid::regclass::text || '/' || g.objid::text = any ($1::text[])
)
select r.rolname as name, r.rolcanlogin as login, bool_or(d.deptype = 'o') as owner,
       r.oid in (select role from granting) as grantor
from pg_catalog.pg_shdepend d
join pg_catalog.pg_roles r on d.refclassid = 'pg_catalog.pg_authid'::regclass and r.oid = d.refobjid
where d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
  and not r.rolsuper and r.rolname !~ '^pg_'
  and not d.classid::regclass::text || '/' || d.objid::text = any ($1::text[])
group by r.oid, r.rolname, r.rolcanlogin
order by 1
