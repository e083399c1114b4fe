-- $1: pattern of this migration's own slots and subscriptions, whose places it will use again.
-- Who sees little of pg_stat_activity counts too few workers; the others are exact for everybody.
with subscribed as (
  select count(*)::int as used from pg_catalog.pg_stat_subscription where subname not like $1 and pid is not null
)
select 'slots' as kind, 'max_replication_slots' as setting,
       current_setting('max_replication_slots')::int as allowed,
       (select count(*)::int from pg_catalog.pg_replication_slots where slot_name not like $1) as used
union all
select 'senders', 'max_wal_senders', current_setting('max_wal_senders')::int,
       (select count(*)::int from pg_catalog.pg_stat_replication r
        where not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_name like $1))
union all
select 'workers', 'max_logical_replication_workers', current_setting('max_logical_replication_workers')::int,
       (select used from subscribed)
union all
-- The launcher of logical replication is one; parallel query gives its workers back by itself.
select 'processes', 'max_worker_processes', current_setting('max_worker_processes')::int,
       1 + greatest(
         (select used from subscribed),
         (select count(*)::int from pg_catalog.pg_stat_activity
          where backend_type not in (
            'client backend', 'walsender', 'autovacuum launcher', 'autovacuum worker', 'background writer',
            'checkpointer', 'startup', 'walreceiver', 'walwriter', 'archiver', 'walsummarizer', 'slotsync worker',
            'io worker', 'standalone backend', 'parallel worker', 'logical replication launcher'
          ) and pid not in (select pid from pg_catalog.pg_stat_subscription where subname like $1 and pid is not null))
       )
union all
select 'origins', v.setting, current_setting(v.setting)::int,
       (select count(*)::int from pg_catalog.pg_replication_origin)
       - (select count(*)::int from pg_catalog.pg_stat_subscription s
          where s.subname like $1 and exists (select from pg_catalog.pg_replication_origin where roname = 'pg_' || s.subid))
from (
  select case when current_setting('server_version_num')::int >= 180000
              then 'max_active_replication_origins' else 'max_replication_slots' end as setting
) v
