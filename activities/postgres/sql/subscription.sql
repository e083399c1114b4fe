-- What a person should know of one subscription. $1: its name.
-- The OID is the view's: before version 14 only superusers read it in the catalog.
select v.subid::text as oid, s.subenabled as enabled, w.pid, w.latest_end_lsn::text as "receivedLsn"
from pg_catalog.pg_subscription s
join pg_catalog.pg_stat_subscription v on v.subname = s.subname and v.relid is null
left join pg_catalog.pg_stat_subscription w on w.subid = v.subid and w.relid is null and w.pid is not null
where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
limit 1
