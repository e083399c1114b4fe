-- Settings of this database, and of roles in it. `role`: null for all.
select r.rolname as role, split_part(c.setting, '=', 1) as name, substr(c.setting, strpos(c.setting, '=') + 1) as value
from pg_catalog.pg_db_role_setting s
left join pg_catalog.pg_roles r on r.oid = s.setrole
cross join lateral unnest(s.setconfig) as c(setting)
where s.setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
  and (s.setrole = 0 or r.oid is not null)
order by 1 nulls first, 2
