-- What decides whether default_transaction_read_only, set for this database, is what sessions see; and who may set it.
select
  quote_ident(me.rolname) as role,
  quote_ident(d.datname) as database,
  quote_ident(owner.rolname) as owner,
  owner.rolsuper as "ownerIsSuperuser",
  pg_has_role(d.datdba, 'usage') as owns,
  -- Without the second, the sessions of others don't show when they began.
  array(
    select r.rolname::text
    from pg_catalog.pg_roles r
    where r.rolname in ('pg_signal_backend', 'pg_read_all_stats') and not me.rolsuper and not pg_has_role(r.oid, 'usage')
    order by 1
  ) as lacks,
  (
    select split_part(entry, '=', 2)
    from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) entry
    where s.setdatabase = d.oid and s.setrole = 0 and split_part(entry, '=', 1) = 'default_transaction_read_only'
  ) as setting,
  -- A setting of a role goes before that of the database, and one of a role in this database before both.
  array(
    select format('%I%s: %s', r.rolname, case when s.setdatabase = 0 then '' else ' in this database' end, entry)
    from pg_catalog.pg_db_role_setting s
    join pg_catalog.pg_roles r on r.oid = s.setrole, unnest(s.setconfig) entry
    where s.setdatabase in (0, d.oid) and split_part(entry, '=', 1) = 'default_transaction_read_only'
    order by 1
  ) as overrides,
  array(
    select distinct format(
      'alter role %I %sreset default_transaction_read_only',
      r.rolname, case when s.setdatabase = 0 then '' else format('in database %I ', d.datname) end)
    from pg_catalog.pg_db_role_setting s
    join pg_catalog.pg_roles r on r.oid = s.setrole, unnest(s.setconfig) entry
    where s.setdatabase in (0, d.oid) and split_part(entry, '=', 1) = 'default_transaction_read_only'
    order by 1
  ) as repairs
from pg_catalog.pg_database d
join pg_catalog.pg_roles owner on owner.oid = d.datdba
join pg_catalog.pg_roles me on me.rolname = current_user
where d.datname = current_database()
