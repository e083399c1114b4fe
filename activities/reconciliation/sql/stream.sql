-- What there is of a stream named `$2`, and those of `$1` (json of schema and name) whose UPDATE and DELETE can be published. `published`:
-- they are, with all their rows and columns, and no others; null: there is no publication.
with identified as (
  select n.nspname as schema, c.relname as name, c.oid
  from json_to_recordset($1::json) as wanted(schema text, name text)
  join pg_catalog.pg_namespace n on n.nspname = wanted.schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
  where c.relkind = 'r' and c.relpersistence = 'p'
    and (c.relreplident in ('f', 'i')
      or (c.relreplident = 'd' and exists (
        select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid and i.indimmediate)))
)
select current_setting('wal_level') as level,
  exists (select from pg_catalog.pg_replication_slots where slot_name = $2) as slot,
  (select coalesce(json_agg(json_build_object('schema', schema, 'name', name) order by schema, name), '[]') from identified) as tables,
  (select array(select oid from identified order by oid) = array(
      -- before PostgreSQL 15 there is neither a row filter nor a list of columns
      select case when to_jsonb(r) ->> 'prqual' is null and to_jsonb(r) ->> 'prattrs' is null then r.prrelid end
      from pg_catalog.pg_publication_rel r where r.prpubid = p.oid order by r.prrelid)
    from pg_catalog.pg_publication p where p.pubname = $2) as published
