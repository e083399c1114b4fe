-- What a schema holds beside the shape of its tables, one line a fact. $1: the tables in scope, as JSON.
with scope as (
  select c.oid, c.relnamespace
  from json_to_recordset($1::json) as t(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
relations as (
  select c.oid, c.relkind, c.relowner, c.relacl, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
         format('%s %I.%I', case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
                n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid in (select oid from scope)
    or (c.relkind = 'S' and exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
        and d.refobjid in (select oid from scope)))
),
routines as (
  select p.oid, p.proowner, p.proacl, p.proconfig, p.prosrc, 'function ' || p.oid::regprocedure::text as name
  from pg_catalog.pg_proc p
  where p.pronamespace in (select relnamespace from scope)
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
),
spaces as (
  select n.oid, n.nspowner, n.nspacl, format('schema %I', n.nspname) as name
  from pg_catalog.pg_namespace n where n.oid in (select relnamespace from scope)
),
grants as (
  select r.name, a.* from relations r
    cross join lateral aclexplode(coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner))) a
  union all
  select format('column %I of %s', c.attname, r.name), a.* from relations r
    join pg_catalog.pg_attribute c on c.attrelid = r.oid and not c.attisdropped and c.attacl is not null
    cross join lateral aclexplode(c.attacl) a
  union all select f.name, a.* from routines f cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
  union all select s.name, a.* from spaces s cross join lateral aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) a
  union all select 'the database', a.* from pg_catalog.pg_database d
    cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    where d.datname = current_database()
)
select name as object, 'owner' as fact, owner::regrole::text as value
from (select name, relowner as owner from relations union all select name, proowner from routines union all select name, nspowner from spaces) o
union all
-- MAINTAIN is there since version 17, and every owner has it. What an owner may is no grant.
select g.name, 'grants', string_agg(
         format('%s to %s%s', g.privileges, g.grantee, case when g.grantable then ' with grant option' else '' end), '; '
         order by g.grantee, g.grantable)
from (
  select name, case when grantee = 0 then 'PUBLIC' else grantee::regrole::text end as grantee, is_grantable as grantable,
         string_agg(distinct privilege_type, ', ' order by privilege_type) as privileges
  from grants where privilege_type <> 'MAINTAIN' and grantee <> grantor group by 1, 2, 3
) g
group by 1
union all
select name, 'comment', comment
from (
  select name, obj_description(oid, 'pg_class') as comment from relations
  union all select name, obj_description(oid, 'pg_proc') from routines
  union all select name, obj_description(oid, 'pg_namespace') from spaces where name <> 'schema public'
  union all select format('column %I of %s', a.attname, r.name), col_description(r.oid, a.attnum)
    from relations r join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  union all select 'the database', shobj_description(oid, 'pg_database') from pg_catalog.pg_database where datname = current_database()
) c
where comment is not null
union all
select name, 'storage parameters', array_to_string(array(select unnest(reloptions) order by 1), ', ')
from relations where reloptions is not null
union all
select name, 'row security', case when relforcerowsecurity then 'forced' else 'enabled' end from relations where relrowsecurity
union all
select format('column %I of %s', a.attname, r.name), d.fact, d.value
from relations r
join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
cross join lateral (values
  ('statistics target', nullif((to_jsonb(a) ->> 'attstattarget')::int, -1)::text),
  ('storage', case when a.attstorage <> t.typstorage then a.attstorage::text end),
  ('compression', nullif(to_jsonb(a) ->> 'attcompression', '')),
  ('options', array_to_string(a.attoptions, ', '))) as d(fact, value)
where d.value is not null and r.relkind in ('r', 'p', 'm')
union all
select format('index %s', i.indexrelid::regclass), d.fact, d.value
from pg_catalog.pg_index i
cross join lateral (values
  ('definition', pg_get_indexdef(i.indexrelid)), ('marked for CLUSTER', case when i.indisclustered then 'yes' end)) as d(fact, value)
where i.indrelid in (select oid from scope) and d.value is not null
union all
select format('trigger %I on %s', t.tgname, t.tgrelid::regclass), 'definition', pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
from pg_catalog.pg_trigger t
where t.tgrelid in (select oid from scope) and not t.tgisinternal and t.tgname !~ '^godwit_fence_'
union all
select format('policy %I on %s', p.polname, p.polrelid::regclass), 'definition',
       concat_ws(' ', p.polcmd::text, p.polpermissive::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
                 array(select coalesce(r.rolname, 'public') from unnest(p.polroles) o left join pg_catalog.pg_roles r on r.oid = o order by 1)::text)
from pg_catalog.pg_policy p where p.polrelid in (select oid from scope)
union all
select format('statistics %I.%I', n.nspname, e.stxname), 'definition',
       pg_get_statisticsobjdef(e.oid) || coalesce(' target ' || nullif((to_jsonb(e) ->> 'stxstattarget')::int, -1), '')
from pg_catalog.pg_statistic_ext e join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
where e.stxrelid in (select oid from scope)
union all
select name, 'body and settings', md5(prosrc) || coalesce(' ' || proconfig::text, '') from routines
union all
select format('default privileges of %s%s', d.defaclrole::regrole, coalesce(' in schema ' || n.nspname, '')),
       'of kind ' || d.defaclobjtype::text,
       array(select a::text from unnest(d.defaclacl) a order by 1)::text
from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
where d.defaclnamespace = 0 or d.defaclnamespace in (select relnamespace from scope)
order by 1, 2
