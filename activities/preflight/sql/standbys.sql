-- What streams WAL without a logical slot.
select coalesce(nullif(r.application_name, ''), 'unnamed') as name,
       coalesce(host(r.client_addr), 'local') as host,
       coalesce(r.sync_state, 'unknown') as sync_state
from pg_catalog.pg_stat_replication r
where not exists (
  select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical'
)
  and coalesce(r.application_name, '') not like 'godwit %'
order by 1, 2
