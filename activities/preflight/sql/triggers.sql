-- Triggers and rules on tables in scope that fire while changes are applied, and rules of all kinds.
-- Godwit's own are ALWAYS and statement-level, which apply doesn't fire. $1, $2: schemas and names.
with scope as (
  select c.oid, c.oid::regclass::text as name
  from unnest($1::text[], $2::text[]) as scope(schema_name, table_name)
  join pg_catalog.pg_namespace n on n.nspname = scope.schema_name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = scope.table_name
)
select s.name as "table", quote_ident(t.tgname) as name, 'trigger' as kind, t.tgenabled::text as enabled
from scope s
join pg_catalog.pg_trigger t on t.tgrelid = s.oid
where not t.tgisinternal and t.tgenabled in ('A', 'R') and t.tgname not like 'godwit\_fence\_%'
  and t.tgparentid = 0
union all
select s.name, quote_ident(r.rulename), 'rule', r.ev_enabled::text
from scope s
join pg_catalog.pg_rewrite r on r.ev_class = s.oid
order by 1, 2
