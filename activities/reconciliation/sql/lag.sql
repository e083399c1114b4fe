-- How far whoever follows this server is behind, in milliseconds: standbys and subscribers alike; null: nobody follows it.
select (extract(epoch from max(coalesce(r.replay_lag, interval '0'))) * 1000)::float8 as "lagMs"
from pg_catalog.pg_stat_replication r
where r.state = 'streaming' and r.application_name !~ '^pg_[0-9]+_sync_'
