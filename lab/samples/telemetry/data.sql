-- Readings of 100 devices, 500,000 at a scale of 1, which is in a setting of the session: `set sample.scale = 1`.

insert into telemetry.device (serial_number, address, tags, installed)
select 'SN-' || lpad(n::text, 5, '0'), inet '10.0.0.0' + n, jsonb_build_object('site', n % 7, 'kinds', jsonb_build_array('heat', n % 3)),
       date '2025-06-01' + n
  from generate_series(1, 100) n;

update telemetry.device
   set last_seq = greatest(1, round(5000 * coalesce(nullif(current_setting('sample.scale', true), '')::numeric, 1)));

insert into telemetry.reading (device_id, seq, at, value, payload)
select d.id, seq, telemetry.time_of(seq), (seq + d.id) % 1000 / 8.0,
       jsonb_build_object('state', case when seq % 97 = 0 then 'alarm' else 'fine' end, 'battery', seq % 100)
  from generate_series(1, (select max(last_seq) from telemetry.device)) seq
 cross join telemetry.device d;

-- The trigger has done so, unless the session fires none.
insert into telemetry.hourly (device_id, hour, samples, total, lowest, highest)
select device_id, date_trunc('hour', at, 'UTC'), count(*), sum(value), min(value), max(value) from telemetry.reading group by 1, 2
on conflict do nothing;

analyze;
