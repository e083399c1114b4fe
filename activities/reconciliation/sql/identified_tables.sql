-- Those of `$1` (json of schema and name) whose UPDATE and DELETE can be published.
select n.nspname as schema, c.relname as name
from json_to_recordset($1::json) as wanted(schema text, name text)
join pg_catalog.pg_namespace n on n.nspname = wanted.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
where c.relkind = 'r' and c.relpersistence = 'p'
  and (c.relreplident in ('f', 'i')
    or (c.relreplident = 'd' and exists (
      select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid and i.indimmediate)))
order by 1, 2
