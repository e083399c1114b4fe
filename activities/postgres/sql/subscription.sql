-- What a person should know of one subscription. $1: its name.
select s.oid::text as oid, s.subenabled as enabled, w.pid, w.latest_end_lsn::text as "receivedLsn"
from pg_catalog.pg_subscription s
left join pg_catalog.pg_stat_subscription w on w.subid = s.oid and w.relid is null and w.pid is not null
where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
limit 1
