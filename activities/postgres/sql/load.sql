-- How the source does: the furthest standby, and sessions of clients that do something now. Godwit's own don't count.
select (select (extract(epoch from max(coalesce(r.replay_lag, interval '0'))) * 1000)::float8
        from pg_catalog.pg_stat_replication r
        where r.state = 'streaming'
          and not exists (select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')
       ) as "standbyLagMs",
       (select count(*)::int from pg_catalog.pg_stat_activity a
        where a.backend_type = 'client backend' and a.state = 'active' and a.application_name !~ '^godwit '
       ) as "activeSessions"
