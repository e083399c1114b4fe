-- Materialized views that show rows of tables in scope, through other views too. $1: the tables, as JSON.
with recursive scope as (
  select c.oid
  from json_to_recordset($1::json) as t(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
uses as (
  select distinct r.ev_class as view, d.refobjid as used
  from pg_catalog.pg_rewrite r
  join pg_catalog.pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.ev_class
),
shows as (
  select view, used from uses
  union
  select uses.view, shows.used from uses join shows on shows.view = uses.used
)
select n.nspname as schema, c.relname as name, c.relispopulated as populated,
  -- As REFRESH … CONCURRENTLY asks: readers go on, where rows can be told apart.
  exists (
    select from pg_catalog.pg_index i
    where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
  ) as identified,
  pg_catalog.pg_get_userbyid(c.relowner) as owner, current_user::text as role,
  pg_catalog.pg_has_role(c.relowner, 'usage')
    -- Another one may be let since version 17.
    or case when current_setting('server_version_num')::int >= 170000
         then pg_catalog.has_table_privilege(c.oid, 'MAINTAIN') else false end as permitted,
  (select count(*) from shows s join pg_catalog.pg_class m on m.oid = s.used and m.relkind = 'm' where s.view = c.oid)::int as depth
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm' and exists (select from shows where view = c.oid and used in (select oid from scope))
-- Whoever shows another one shows all that that one shows, and it: so it has more of them beneath it.
order by depth, 1, 2
