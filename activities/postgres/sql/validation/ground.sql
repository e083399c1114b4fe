-- On what a pass over a table stands. The timeline of a primary is that of its WAL: the control file names a new one minutes later.
select
  concat_ws('/', (select system_identifier from pg_catalog.pg_control_system()),
    case when pg_catalog.pg_is_in_recovery() then (select timeline_id::text from pg_catalog.pg_control_checkpoint())
         else ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::int::text end) as server,
  case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
       else pg_catalog.pg_current_wal_insert_lsn() end::text as lsn,
  coalesce(pg_catalog.pg_relation_filenode($1::regclass)::text, '') as file,
  pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())::text as watermark
