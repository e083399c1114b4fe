-- How many locks the tables $1 (schemas) and $2 (names) take: themselves, and with all that is made when they are made.
with moving as (
  select c.oid, c.reltoastrelid <> 0 as toasted
  from unnest($1::text[], $2::text[]) as t(schema, name)
  join pg_catalog.pg_namespace n on n.nspname = t.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
sequence as (
  select distinct s.oid
  from pg_catalog.pg_class s
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = s.oid
  join moving m on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = m.oid
  where s.relkind = 'S' and d.deptype in ('a', 'i')
)
select (select count(*)::int from moving) as tables,
       (select count(*)::int + 2 * count(*) filter (where toasted)::int from moving) + (select count(*)::int from sequence) as made
