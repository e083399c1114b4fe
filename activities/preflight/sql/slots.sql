-- Slots of others, and the WAL that each holds back.
select s.slot_name as name, s.slot_type as type, s.plugin, s.database, s.active,
  s.slot_type = 'logical' and s.database = current_database() as here,
  pg_wal_lsn_diff(
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, s.restart_lsn
  )::float8 as retained
from pg_catalog.pg_replication_slots s
where s.slot_name not like 'godwit\_%'
order by 1
