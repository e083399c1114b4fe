-- Settings that a version doesn't have are absent.
select name, setting
from pg_catalog.pg_settings
where name in (
  'wal_level', 'fsync', 'full_page_writes', 'max_slot_wal_keep_size',
  'idle_replication_slot_timeout', 'old_snapshot_threshold'
)
