-- What this database sets default_transaction_read_only to, for all roles; null: it doesn't.
select (
  select split_part(entry, '=', 2)
  from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) entry
  where s.setdatabase = d.oid and s.setrole = 0 and lower(split_part(entry, '=', 1)) = 'default_transaction_read_only'
) as value
from pg_catalog.pg_database d
where d.datname = current_database()
