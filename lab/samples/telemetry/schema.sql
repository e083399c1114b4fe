-- Devices that report all the time: readings in a partition a week, each divided by device, and a table of hourly figures that a
-- statement trigger keeps. Plain SQL: `psql -f` does as well.

create schema telemetry;

create table telemetry.device (
  id integer generated always as identity primary key,
  serial_number text not null unique,
  address inet not null,
  tags jsonb not null default '{}',
  installed date not null,
  last_seq bigint not null default 0
);
comment on column telemetry.device.last_seq is 'Of its readings, which are counted without gaps';

create table telemetry.reading (
  device_id integer not null references telemetry.device,
  seq bigint not null,
  at timestamptz not null,
  value double precision not null,
  payload jsonb not null,
  primary key (at, device_id)
) partition by range (at);
create index reading_seq on telemetry.reading (device_id, seq);
create index reading_at on telemetry.reading using brin (at) with (pages_per_range = 32);
create index reading_alarm on telemetry.reading (device_id, at) where payload ->> 'state' = 'alarm';

do $$
declare
  week date;
  name text;
begin
  for week in select generate_series(date '2026-01-05', date '2026-04-20', interval '7 days') loop
    name := 'reading_' || to_char(week, 'IYYY"w"IW');
    execute format('create table telemetry.%I partition of telemetry.reading for values from (%L) to (%L) partition by hash (device_id)',
                   name, week || ' 00:00+00', week + 7 || ' 00:00+00');
    for part in 0..1 loop
      execute format('create table telemetry.%I partition of telemetry.%I for values with (modulus 2, remainder %s)',
                     name || '_' || part, name, part);
    end loop;
  end loop;
end $$;
create table telemetry.reading_later partition of telemetry.reading default;

create table telemetry.hourly (
  device_id integer not null references telemetry.device,
  hour timestamptz not null,
  samples integer not null,
  total double precision not null,
  lowest double precision not null,
  highest double precision not null,
  primary key (device_id, hour)
) with (fillfactor = 80);

create table telemetry.batch (
  id text primary key,
  device_id integer not null references telemetry.device,
  first_seq bigint not null,
  readings smallint not null check (readings > 0)
);
comment on table telemetry.batch is 'What devices have sent, so that none of it is taken twice';

create function telemetry.sum_up() returns trigger language plpgsql as $$
begin
  insert into telemetry.hourly as h (device_id, hour, samples, total, lowest, highest)
  select device_id, date_trunc('hour', at, 'UTC'), count(*), sum(value), min(value), max(value) from fresh group by 1, 2
  on conflict (device_id, hour) do update
    set samples = h.samples + excluded.samples, total = h.total + excluded.total,
        lowest = least(h.lowest, excluded.lowest), highest = greatest(h.highest, excluded.highest);
  return null;
end $$;
create trigger hourly after insert on telemetry.reading
  referencing new table as fresh for each statement execute function telemetry.sum_up();

-- A reading every ten minutes of the device's own time, which its number says.
create function telemetry.time_of(seq bigint) returns timestamptz language sql immutable as $$
  select timestamptz '2026-01-05 00:00+00' + seq * interval '10 minutes'
$$;

create function telemetry.ingest(sent text, sender integer, readings integer) returns void language plpgsql as $$
declare
  first bigint;
begin
  update telemetry.device set last_seq = last_seq + readings where id = sender returning last_seq - readings + 1 into first;
  insert into telemetry.reading (device_id, seq, at, value, payload)
  select sender, seq, telemetry.time_of(seq), seq % 1000 / 8.0,
         jsonb_build_object('state', case when seq % 97 = 0 then 'alarm' else 'fine' end, 'battery', seq % 100)
    from generate_series(first, first + readings - 1) seq;
  insert into telemetry.batch (id, device_id, first_seq, readings) values (sent, sender, first, readings);
end $$;

create view telemetry.latest as
  select d.serial_number, r.at, r.value, r.payload
    from telemetry.device d join telemetry.reading r on r.device_id = d.id and r.seq = d.last_seq;
