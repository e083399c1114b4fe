-- Every kind of table, column, key, sequence, index and name that PostgreSQL 15 has and a migration must take, and rows in
-- each. What logical replication can't carry is in the test itself, since preflight refuses it. One file, one section a
-- kind, run by a superuser in an empty database; the roles app, "Owner ""quoted""" and reader are there.

create extension hstore;
create extension citext;
create extension ltree;
create extension btree_gist;

-- ── types ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

create schema kinds;
set search_path = kinds, public;

create type mood as enum ('calm', 'angry', 'with, comma', 'it''s "quoted"', 'ünsicher');
begin;
alter type mood add value 'before calm' before 'calm';
commit;
create domain positive as numeric check (value > 0);
create domain ticks as int[] check (cardinality(value) < 10);
create domain moods as mood[];
create type measure as (amount numeric, unit text, at timestamptz);
create type nested as (one measure, list measure[], feeling mood);
create domain measured as measure;
create domain short_text as varchar(20) collate "C" default 'none' not null;
create type float_span as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = float_spans);
create type mood_span as range (subtype = mood);
create table every_type_row (id int, dropped int, label text);
alter table every_type_row drop column dropped, replica identity full;
insert into every_type_row values (1, 'a row of a type that a column has, too');
create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- One column a type; row n has value n of it, and they begin anew after the last. The test reads names from these lines.
create table every_type (id int primary key, touched int not null default 0);
insert into every_type select generate_series(1, 200);
create procedure pg_temp.add_type(column_name text, type text, "values" text[]) language plpgsql as $$
begin
  execute format('alter table kinds.every_type add column %I %s', column_name, type);
  execute format('update kinds.every_type set %I = ($1)[1 + id %% cardinality($1)]::%s', column_name, type) using "values";
end $$;
call pg_temp.add_type('boolean', 'boolean', array['t', 'f', null]);
call pg_temp.add_type('smallint', 'smallint', array['-32768', '32767', null]);
call pg_temp.add_type('integer', 'integer', array['-2147483648', '0', '2147483647', null]);
call pg_temp.add_type('bigint', 'bigint', array['-9223372036854775808', '1', '4294967296', '9223372036854775807']);
call pg_temp.add_type('numeric', 'numeric', array['NaN', 'Infinity', '-Infinity', '1', '1.0', '1.00', '-0.000', '1e-300', '123456789012345678901234567890.5', null]);
call pg_temp.add_type('numeric(10,3)', 'numeric(10,3)', array['0', '-9999999.999', '0.001']);
call pg_temp.add_type('numeric(5,-2)', 'numeric(5,-2)', array['100', '-9999900']);
call pg_temp.add_type('real', 'real', array['0', '-0', 'NaN', 'Infinity', '-Infinity', '1.1754944e-38', '0.1']);
call pg_temp.add_type('double precision', 'double precision', array['0', '-0', 'NaN', 'Infinity', '-Infinity', '5e-324', '0.1', '0.10000000000000002']);
call pg_temp.add_type('money', 'money', array['-92233720368547758.08', '0', '12.34']);
call pg_temp.add_type('text', 'text', array['', ' ', null, e'tab\t newline\n return\r backslash\\ quote'' "', '\N', '\.', 'žluťoučký 🐎 ‮', 'NULL']);
call pg_temp.add_type('varchar(10)', 'varchar(10)', array['ten chars!', '', 'ü']);
call pg_temp.add_type('char(8)', 'char(8)', array['a', 'a b', '', null]);
call pg_temp.add_type('"char"', '"char"', array['a', '', e'\\', null]);
call pg_temp.add_type('name', 'name', array['short', repeat('n', 63), '']);
call pg_temp.add_type('text in a nondeterministic collation', 'text collate any_case', array['A', 'a', null]);
call pg_temp.add_type('bytea', 'bytea', array['\x', '\x00', '\xdeadbeef5c5c', null]);
call pg_temp.add_type('date', 'date', array['infinity', '-infinity', '0044-03-15 BC', '4713-01-01 BC', '5874897-12-31', '2026-02-28']);
call pg_temp.add_type('time', 'time', array['00:00', '24:00', '23:59:59.999999']);
call pg_temp.add_type('time(2)', 'time(2)', array['00:00:00.12', '12:00']);
call pg_temp.add_type('timetz', 'timetz', array['12:00+00', '13:00+01', '24:00-15:59']);
call pg_temp.add_type('timestamp', 'timestamp', array['infinity', '-infinity', '0044-03-15 12:00:00.000001 BC', '294276-12-31 23:59:59.999999']);
call pg_temp.add_type('timestamptz', 'timestamptz', array['infinity', '-infinity', '0044-03-15 12:00:00+01 BC', '2026-03-29 01:30:00+01', null]);
call pg_temp.add_type('interval', 'interval', array['1 day', '24 hours', '1 mon', '30 days', '-1 day +02:03:04.000005', '-178000000 years', '1 year -1 mon']);
call pg_temp.add_type('interval day to minute', 'interval day to minute', array['3 days 04:05', '-1 day']);
call pg_temp.add_type('uuid', 'uuid', array['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', null]);
call pg_temp.add_type('json', 'json', array['{"a":1}', '{"a": 1}', '{"b":1,"a":1,"a":2}', '[]', 'null', null]);
call pg_temp.add_type('jsonb', 'jsonb', array['{"a": 1.0}', '{"a": 1.00}', '[1, [2, {"x": null}]]', '"\u00fc"', 'null', null]);
call pg_temp.add_type('jsonpath', 'jsonpath', array['$.a[*] ? (@ > 1)', 'strict $', null]);
call pg_temp.add_type('xml', 'xml', array['<a/>', '<a></a>', '<!-- a --><b c="d">ü&amp;</b>', 'text alone', '<?xml version="1.0" encoding="UTF-8"?><a/>', null]);
call pg_temp.add_type('inet', 'inet', array['10.0.0.1', '10.0.0.1/8', '::1', 'fe80::/10']);
call pg_temp.add_type('cidr', 'cidr', array['10.0.0.0/8', '10.0.0.0/9', '2001:db8::/32']);
call pg_temp.add_type('macaddr', 'macaddr', array['08:00:2b:01:02:03', '00:00:00:00:00:00']);
call pg_temp.add_type('macaddr8', 'macaddr8', array['08:00:2b:01:02:03:04:05', '00:00:00:ff:fe:00:00:00']);
call pg_temp.add_type('bit(5)', 'bit(5)', array['00000', '10101']);
call pg_temp.add_type('bit varying', 'bit varying', array['', '0', '00', '1011']);
call pg_temp.add_type('tsvector', 'tsvector', array['a:1', 'a:1A', '', '''with space'':2,3B c']);
call pg_temp.add_type('tsquery', 'tsquery', array['a & !b', 'a <-> b', 'a:*AB', '']);
call pg_temp.add_type('point', 'point', array['(0,0)', '(-0,0)', '(NaN,Infinity)']);
call pg_temp.add_type('line', 'line', array['{1,-1,0}', '{0,1,2}']);
call pg_temp.add_type('lseg', 'lseg', array['[(0,0),(1,1)]', '[(1,1),(0,0)]']);
call pg_temp.add_type('box', 'box', array['(1,1),(0,0)', '(2,2),(0,0)']);
call pg_temp.add_type('path', 'path', array['[(0,0),(1,1)]', '((0,0),(1,1))']);
call pg_temp.add_type('polygon', 'polygon', array['((0,0),(1,1),(1,0))', '((0,0))']);
call pg_temp.add_type('circle', 'circle', array['<(0,0),1>', '<(0,0),0>']);
call pg_temp.add_type('oid', 'oid', array['0', '4294967295', '16384']);
call pg_temp.add_type('xid8', 'xid8', array['0', '18446744073709551615']);
call pg_temp.add_type('pg_lsn', 'pg_lsn', array['0/0', 'FFFFFFFF/FFFFFFFF']);
call pg_temp.add_type('pg_snapshot', 'pg_snapshot', array['10:20:10,14', '1:1:']);
call pg_temp.add_type('tid', 'tid', array['(0,1)', '(4294967295,65535)']);
call pg_temp.add_type('regtype', 'regtype', array['int4', 'kinds.mood', 'text[]']);
call pg_temp.add_type('regclass', 'regclass', array['kinds.every_type', 'pg_class', 'pg_type']);
call pg_temp.add_type('int2vector', 'int2vector', array['1 2 3', '']);
call pg_temp.add_type('int4range', 'int4range', array['[1,5)', 'empty', '(,)', '[7,)']);
call pg_temp.add_type('numrange', 'numrange', array['[1.0,2]', '[1.00,2]', '(1,2)', 'empty']);
call pg_temp.add_type('tstzrange', 'tstzrange', array['[-infinity,infinity]', '[2026-01-01 00:00+00,)', '(,"0044-03-15 00:00:00+00 BC")']);
call pg_temp.add_type('int8multirange', 'int8multirange', array['{}', '{[1,2),[4,9)}', '{(,)}']);
call pg_temp.add_type('datemultirange', 'datemultirange', array['{[2026-01-01,2026-02-01),[2026-03-01,infinity)}', null]);
call pg_temp.add_type('enum', 'mood', array['calm', 'angry', 'with, comma', 'it''s "quoted"', 'ünsicher', 'before calm', null]);
call pg_temp.add_type('domain', 'positive', array['1.0', '1.00', 'Infinity', null]);
call pg_temp.add_type('domain with a length, collation and default', 'short_text', array['', 'none', 'twenty characters at']);
call pg_temp.add_type('domain over an array', 'ticks', array['{}', '{1,NULL,3}', '[-1:0]={1,2}']);
call pg_temp.add_type('domain over an array of an enum', 'moods', array['{calm}', '{"with, comma","it''s \"quoted\""}']);
call pg_temp.add_type('domain over a composite', 'measured', array['(1.0,kg,)', '(1.00,kg,)', '(,,)', null]);
call pg_temp.add_type('composite', 'measure', array['(1.0,"k,g","2026-01-01 00:00:00+00")', '(NaN,"",infinity)', '(,,)', null]);
call pg_temp.add_type('composite of composites', 'nested', array['("(1,kg,)","{""(2,\\""a b\\"",)"",NULL}",calm)', '(,{},"with, comma")', null]);
call pg_temp.add_type('row type of a table', 'every_type_row', array['(1,one)', '(,)']);
call pg_temp.add_type('range of float8', 'float_span', array['[-0,0]', '[0,NaN]', 'empty']);
call pg_temp.add_type('multirange of float8', 'float_spans', array['{[1,2),[3,4]}', '{}']);
call pg_temp.add_type('range of an enum', 'mood_span', array['[calm,angry]', '["before calm",)']);
call pg_temp.add_type('array of integer', 'integer[]', array['{}', '{1,NULL,2}', '{{1,2},{3,4}}', '[-2:-1]={1,2}', '[0:1][5:6]={{1,2},{3,NULL}}', null]);
call pg_temp.add_type('array of numeric', 'numeric[]', array['{1.0}', '{1.00}', '{NaN,Infinity}']);
call pg_temp.add_type('array of text', 'text[]', array['{NULL}', '{"NULL"}', '{""}', '{"a\\b","{,}"," "}']);
call pg_temp.add_type('array of bytea', 'bytea[]', array['{"\\x5c",NULL}', '{"\\x"}']);
call pg_temp.add_type('array of timestamptz', 'timestamptz[]', array['{infinity,"0044-03-15 00:00:00+00 BC"}', '{}']);
call pg_temp.add_type('array of interval', 'interval[]', array['{1 day}', '{24:00:00}']);
call pg_temp.add_type('array of json', 'json[]', array['{"{\"a\":1}"}', '{"{\"a\": 1}"}']);
call pg_temp.add_type('array of jsonb', 'jsonb[]', array['{"{\"a\": 1}",NULL}', '{}']);
call pg_temp.add_type('array of char(3)', 'char(3)[]', array['{a,b}', '{"a b"}']);
call pg_temp.add_type('array of "char"', '"char"[]', array['{a,b}', '{a}']);
call pg_temp.add_type('array of an enum', 'mood[]', array['{calm,NULL}', '{{"with, comma"},{ünsicher}}']);
call pg_temp.add_type('array of a domain', 'positive[]', array['{1.0}', '{1.00}']);
call pg_temp.add_type('array of a composite', 'measure[]', array['{"(1.0,kg,)"}', '{"(1.00,kg,)",NULL}']);
call pg_temp.add_type('array of ranges', 'numrange[]', array['{"[1.0,2)"}', '{"[1.00,2)",empty}']);
call pg_temp.add_type('array of hstore', 'hstore[]', array['{"\"a\"=>\"1\""}', '{"\"a\"=>NULL"}']);
call pg_temp.add_type('hstore', 'hstore', array['"a"=>"1", "b"=>NULL', '', '"ü, =>"=>"\"x\""', null]);
call pg_temp.add_type('citext', 'citext', array['A', 'a', null]);
call pg_temp.add_type('array of citext', 'citext[]', array['{A}', '{a}']);
call pg_temp.add_type('ltree', 'ltree', array['Top.Science', 'Top', '', null]);
call pg_temp.add_type('lquery', 'lquery', array['*.Science.!a|b{1,2}', 'Top']);

-- ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

create schema keys;
set search_path = keys, public;

create table by_smallint (key smallint primary key, value text);
insert into by_smallint select n, 'v' from generate_series(-32768, 32767, 331) n;
create table by_integer (value text, key integer primary key);
insert into by_integer select 'v', n from generate_series(-100, 100) n;
create table by_bigint (key bigint primary key, value text);
insert into by_bigint select n, 'v' from unnest(array[-9223372036854775808, -1, 0, 1, 4294967296, 9223372036854775807]) n;
create table by_uuid (key uuid primary key, value text);
insert into by_uuid select md5(n::text)::uuid, 'v' from generate_series(1, 200) n;
create table by_text (value text, key text primary key);
insert into by_text select 'v', key from unnest(array['', ' ', 'a', 'A', 'ä', e'new\nline', 'NULL', '\N', '{}', '"', '\']) key;
create table by_char (key char(6) primary key, value text);
insert into by_char select 'c' || n, 'v' from generate_series(1, 50) n;
create table by_citext (key citext primary key, value text);
insert into by_citext select 'Key' || n, 'v' from generate_series(1, 50) n;
create table by_any_case (key text collate kinds.any_case primary key, value text);
insert into by_any_case select 'Key' || n, 'v' from generate_series(1, 50) n;
create table by_numeric (key numeric primary key, value text);
insert into by_numeric select key, 'v' from unnest('{NaN,Infinity,-Infinity,0.0,1.10}'::numeric[]) key;
create table by_float (key double precision primary key, value text);
insert into by_float select key, 'v' from unnest('{NaN,Infinity,-Infinity,-0,0.1}'::float8[]) key;
create table by_timestamptz (key timestamptz primary key, value text);
insert into by_timestamptz select key, 'v' from unnest('{infinity,-infinity,"0044-03-15 00:00:00+00 BC",2026-01-01}'::timestamptz[]) key;
create table by_bytea (key bytea primary key, value text);
insert into by_bytea select decode(md5(n::text), 'hex'), 'v' from generate_series(1, 50) n;
create table by_enum (key kinds.mood primary key, value text);
insert into by_enum select key, 'v' from unnest(enum_range(null::kinds.mood)) key;
create table by_domain (key kinds.positive primary key, value text);
insert into by_domain select n, 'v' from generate_series(1, 50) n;
create table by_inet (key inet primary key, value text);
insert into by_inet select '10.0.0.1'::inet + n, 'v' from generate_series(1, 50) n;
create table by_array (key int[] primary key, value text);
insert into by_array select array[n, null, -n], 'v' from generate_series(1, 50) n;
create table by_composite_type (key kinds.measure primary key, value text);
insert into by_composite_type select row(n, 'a "b", c', null)::kinds.measure, 'v' from generate_series(1, 50) n;
create table by_range (key int4range primary key, value text);
insert into by_range select int4range(n, n + 1), 'v' from generate_series(1, 50) n;
create table by_bits (key bit(8) primary key, value text);
insert into by_bits select n::bit(8), 'v' from generate_series(0, 255, 5) n;
-- Columns of the key are neither the first nor in the order of the table.
create table by_columns (value text, third date not null, second text not null, first int not null, primary key (first, second, third));
insert into by_columns select 'v', date '2026-01-01' + n, 'second ' || n % 7, n % 5 from generate_series(1, 200) n;
create table with_included (key int, covered text, value text, primary key (key) include (covered));
insert into with_included select n, 'c' || n, 'v' from generate_series(1, 50) n;
create table by_unique_index (value text, number int, code text not null, region text not null);
create unique index "by Region and code" on by_unique_index (region, code desc) include (number);
alter table by_unique_index replica identity using index "by Region and code";
insert into by_unique_index select 'v', n, 'c' || n, 'r' || n % 3 from generate_series(1, 100) n;
create table by_unique_constraint (id int primary key, value text, code text not null constraint "code's" unique);
alter table by_unique_constraint replica identity using index "code's";
insert into by_unique_constraint select n, 'v', 'c' || n from generate_series(1, 100) n;
create table keyless (number int, value text, body text);
alter table keyless replica identity full;
alter table keyless alter column body set storage external;
insert into keyless select n % 20, case when n % 5 > 0 then 'v' end, case when n % 10 = 0 then repeat(md5(n::text), 200) end from generate_series(1, 200) n;
-- A key of its own that replication doesn't use.
create table full_with_key (id int primary key, value text, at timestamptz, amount numeric, ratio float8);
alter table full_with_key replica identity full;
insert into full_with_key select n, 'v', 'infinity', 'NaN', '-0' from generate_series(1, 50) n;

-- ── partitions and inheritance ─────────────────────────────────────────────────────────────────────────────────────────

create schema trees;
set search_path = trees, public;

create table reading (
  meter bigint generated always as identity, at date not null, region text not null, value numeric, primary key (at, region, meter)
) partition by range (at);
create table reading_2025 partition of reading for values from ('2025-01-01') to ('2026-01-01') partition by list (region);
create table reading_2025_eu partition of reading_2025 for values in ('eu', 'uk');
create table reading_2025_rest partition of reading_2025 default;
-- Attached later, with its columns in another order and one dropped.
create table reading_2026 (region text not null, gone int, value numeric, at date not null, meter bigint not null) partition by list (region);
alter table reading_2026 drop column gone;
alter table reading attach partition reading_2026 for values from ('2026-01-01') to ('2027-01-01');
create table reading_2026_eu (value numeric, meter bigint not null, at date not null, region text not null);
alter table reading_2026 attach partition reading_2026_eu for values in ('eu', 'uk');
create table reading_2026_rest partition of reading_2026 default;
create table reading_default partition of reading default;
create index on reading (meter);
create index by_value on only reading (value);
create index on reading_2025_eu (value) where value > 3;
alter table reading_2025_eu add constraint never_negative check (value >= 0);
create function seen() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger seen before insert or update on reading for each row execute function seen();
alter table reading_default disable trigger seen;
insert into reading (at, region, value)
  select date '2024-12-01' + n * 3, (array['eu', 'us', 'uk', 'asia'])[1 + n % 4], n / 7.0 from generate_series(1, 300) n;
create table bucketed (id int primary key, value text) partition by hash (id);
create table bucketed_0 partition of bucketed for values with (modulus 2, remainder 0);
create table bucketed_1 partition of bucketed for values with (modulus 2, remainder 1);
insert into bucketed select n, 'v' from generate_series(1, 100) n;
create table no_partitions (id int primary key) partition by range (id);

create table vehicle (id serial primary key, name text not null);
create table boat (draught numeric, primary key (id)) inherits (vehicle);
create table car (doors int default 4, primary key (id)) inherits (vehicle);
create table amphibian (primary key (id)) inherits (boat, car);
insert into vehicle (name) select 'vehicle ' || n from generate_series(1, 10) n;
insert into boat (name, draught) select 'boat ' || n, n from generate_series(1, 10) n;
insert into car (name) select 'car ' || n from generate_series(1, 10) n;
insert into amphibian (name, draught, doors) select 'both ' || n, n, 2 from generate_series(1, 10) n;

create type typed_row as (id int, note text);
create table typed of typed_row (id with options primary key);
insert into typed select n, 'note' from generate_series(1, 10) n;

-- ── sequences ──────────────────────────────────────────────────────────────────────────────────────────────────────────

create schema numbers;
set search_path = numbers, public;

create sequence unowned increment by 7 start with 1000;
create sequence descending as integer increment by -1 maxvalue 2000000000 start with 2000000000;
create sequence cached cache 20;
create unlogged sequence unlogged_one;
create sequence elsewhere;
create sequence kinds.of_another_schema;
create table ticket_always (id bigint generated always as identity (start with 100 increment by 5) primary key);
create table ticket_by_default (id int generated by default as identity primary key);
create table ticket_serial (id serial primary key);
create table ticket_smallserial (id smallserial primary key);
create table ticket_unowned (id bigint primary key default nextval('unowned'));
create table ticket_descending (id int primary key default nextval('descending'));
create table ticket_cached (id bigint primary key default nextval('cached'));
create table ticket_unlogged (id bigint primary key default nextval('unlogged_one'));
create table ticket_text (id text primary key default 'T-' || to_char(nextval('elsewhere'), 'FM000000'));
create table ticket_other_schema (id bigint primary key default nextval('kinds.of_another_schema'));
do $$ declare name text; begin
  foreach name in array array['always', 'by_default', 'serial', 'smallserial', 'unowned', 'descending', 'cached', 'unlogged', 'text', 'other_schema'] loop
    for n in 1..20 loop execute format('insert into ticket_%s default values', name); end loop;
  end loop;
end $$;

-- ── generated columns, checks, defaults ────────────────────────────────────────────────────────────────────────────────

create schema computed;
set search_path = computed, public;

create table invoice (
  gross numeric generated always as (net * 1.19) stored,
  id int primary key,
  net numeric not null check (net >= 0),
  label text generated always as ('invoice ' || number) stored,
  number text not null,
  made_at timestamptz default now(),
  unique (label, net)
);
insert into invoice (id, net, number) select n, n * 1.10, 'N' || n from generate_series(1, 50) n;
create table computed_keyless (a int, twice int generated always as (a * 2) stored, b text);
alter table computed_keyless replica identity full;
insert into computed_keyless (a, b) select n, 'b' from generate_series(1, 20) n;
create table all_computed (one int generated always as (1) stored);
alter table all_computed replica identity full;
insert into all_computed default values;
create table checked (id int primary key, value int, constraint old_rows_may check (value > 0));
insert into checked select n, n from generate_series(1, 10) n;
alter table checked drop constraint old_rows_may;
insert into checked values (0, 0);
alter table checked add constraint old_rows_may check (value > 0) not valid;

-- ── foreign keys, triggers, rules, row security, indexes ───────────────────────────────────────────────────────────────

create schema bound;
set search_path = bound, public;

create table company (id int primary key, head int not null);
create table person (id int primary key, company int not null, boss int);
alter table company add constraint has_head foreign key (head) references person deferrable initially deferred;
alter table person add constraint works_for foreign key (company) references company on update cascade on delete cascade deferrable;
alter table person add constraint boss_is foreign key (boss) references person on delete set null;
begin;
insert into company select n, n from generate_series(1, 20) n;
insert into person select n, n, nullif(n - 1, 0) from generate_series(1, 20) n;
commit;
create table remark (id int primary key, at date, region text, meter bigint, foreign key (at, region, meter) references trees.reading match full);
insert into remark select row_number() over (), at, region, meter from trees.reading limit 20;
create table dangling (id int primary key, person int);
insert into dangling values (1, -1);
alter table dangling add foreign key (person) references person not valid;
-- Truncated together, or not at all.
create table shelf (id int primary key);
create table book (id int primary key, shelf int references shelf);
insert into shelf select generate_series(1, 10);
insert into book select n, n from generate_series(1, 10) n;
create table ranked (id int primary key, rank int not null unique deferrable initially deferred);
insert into ranked select n, n from generate_series(1, 20) n;
create function people() returns bigint language sql begin atomic select count(*) from person; end;
create view boss as select b.id, count(*) over () from person b where people() > 0;
create view employee as select id, company from person;
create function employ() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger instead instead of insert on employee for each row execute function employ();

create table audited (id int primary key, value text);
create table audit (id bigint generated always as identity primary key, audited int, what text);
create function note() returns trigger language plpgsql as $$ begin insert into bound.audit (audited, what) values (new.id, tg_op); return new; end $$;
create trigger notes after insert or update on audited for each row execute function note();
create function refuse() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
create trigger refuses before delete on audited execute function refuse();
alter table audited disable trigger refuses;
create constraint trigger later after insert on audited deferrable initially deferred for each row when (new.value = 'x') execute function refuse();
create function count_new() returns trigger language plpgsql as $$ begin
  insert into bound.audit (what) select count(*) || ' new' from fresh; return null;
end $$;
create trigger counts after insert on audited referencing new table as fresh for each statement execute function count_new();
insert into audited select n, 'v' from generate_series(1, 20) n;
create table ruled (id int primary key, value text);
create rule "copies, too" as on insert to ruled do also insert into audit (audited, what) values (new.id, 'rule');
create rule never_deleted as on delete to ruled do instead nothing;
alter table ruled enable always rule "copies, too";
insert into ruled select n, 'v' from generate_series(1, 20) n;

create table secured (id int primary key, owner name not null default current_user);
alter table secured enable row level security;
create policy own on secured for all to app using (owner = current_user) with check (owner = current_user);
create table forced (id int primary key, owner name not null default current_user);
alter table forced enable row level security, force row level security;
create policy "nobody's" on forced as restrictive for select using (false);
insert into secured select n, 'app' from generate_series(1, 20) n;
insert into forced select n, 'app' from generate_series(1, 20) n;

create table booking (
  id int primary key, room int, during tstzrange, note text, amount int, tags text[],
  constraint one_at_a_time exclude using gist (room with =, during with &&) where (room > 0),
  constraint none_twice unique nulls not distinct (room, note)
);
create unique index on booking (lower(note), (amount % 1000)) where amount is not null;
create index on booking (amount desc nulls last) include (note) with (fillfactor = 70);
create index on booking (note text_pattern_ops, note collate "C");
create index on booking using gin (tags);
create index on booking using brin (amount);
create index on booking using hash (note);
create index on booking using spgist (note);
insert into booking select n, n % 5, tstzrange('2026-01-01'::timestamptz + n * interval '1 h', '2026-01-01'::timestamptz + (n + 1) * interval '1 h'), 'n' || n, n, array['a', 'b' || n]
  from generate_series(1, 100) n;
insert into booking values (0, null, null, null, null, null);

-- ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

create schema "Sch.ema ""quoted"" 'ß' – 🐦";
set search_path = "Sch.ema ""quoted"" 'ß' – 🐦", public;

create table "Mixed.Case ""quoted"" table's" ("Id's ""quoted"" key" int primary key, "a.b" text, "ünï" text, "value" text);
create table "select" ("from" int, "order" text, "user" text, "value" text, constraint "table" primary key ("order", "from"));
create table "position" ("key" text primary key, "hash" int, "wanted" int, "low" int, "high" int, "bucket" int, "leaf" int, "r" int, "k1" int, "row" int, "count" int, "value" text);
create table ":table" (":hash" int primary key, "$1" text, "a:key b" text, "%I %s" text, "\" text, "value" text);
create table "*" ("*" int primary key, "value" text);
create table "a/b\c" ("a/b" text primary key, "value" text);
create table "[x]{y}!(z)#" (id int primary key, "value" text);
create table ".dot" (id int primary key, "value" text);
create table " space " (" " int primary key, "value" text);
create table "new
line" ("new
line" int primary key, "value" text);
create table "seventeen characters then many more until sixty-three bytes-end" (
  "a column whose name has the full length of sixty-three bytes..." int constraint "a constraint whose name has the full length of sixty-three byte" primary key,
  "number" bigint generated always as identity (sequence name "a sequence whose name has the full length of sixty-three bytes."),
  "value" text
);
create index "an index whose name has the full length of sixty-three bytes..." on "seventeen characters then many more until sixty-three bytes-end" ("value");
create sequence "Sequence.with ""quotes""";
do $$ declare name text; begin
  for name in select relname from pg_class where relnamespace = to_regnamespace(quote_ident(current_schema())) and relkind = 'r' loop
    execute (select format('insert into %I (%s, value) select %s, ''v'' from generate_series(1, 20) n', name,
                           string_agg(quote_ident(attname), ', '), string_agg(format('n::%s', atttypid::regtype), ', '))
             from pg_attribute where attrelid = quote_ident(name)::regclass and attnum > 0 and attname <> 'value' and attidentity = '');
  end loop;
end $$;

-- ── sizes and shapes ───────────────────────────────────────────────────────────────────────────────────────────────────

create schema sizes;
set search_path = sizes, public;

create table empty (id int primary key, value text);
create table without_columns ();
alter table without_columns replica identity full;
insert into without_columns select from generate_series(1, 5);
create table only_a_key (key uuid primary key);
insert into only_a_key select md5(n::text)::uuid from generate_series(1, 20) n;
create table wide_row (id int primary key, counter int not null default 0, body text, raw bytea);
alter table wide_row alter column raw set storage external;
insert into wide_row (id, body, raw)
  select 1, string_agg(md5(n::text), ''), decode(string_agg(md5((-n)::text), ''), 'hex') from generate_series(1, 218454) n;
create table toasted (id int primary key, counter int not null default 0, body text, packed text compression pglz, document jsonb);
alter table toasted alter column body set storage external, alter column packed set storage main;
insert into toasted (id, body, packed, document)
  select n, (select string_agg(md5((n * m)::text), '') from generate_series(1, 3000) m), repeat('packed ' || n, 2000), jsonb_build_object('list', array_fill(n, array[3000]))
  from generate_series(1, 20) n;
do $$ begin
  execute (select format('create table sizes.sixteen_hundred (%s, primary key (c800))', string_agg(format('c%s %s', n, (array['int', 'smallint', 'boolean', '"char"'])[1 + n % 4]), ', '))
           from generate_series(1, 1600) n);
end $$;
insert into sixteen_hundred (c800, c4, c1, c2, c1600) select n, n, n % 1000, n % 2 = 0, n from generate_series(1, 20) n;
create table dropped_columns (gone_1 int, id int primary key, gone_2 text, value text, gone_3 int default 5, added int);
insert into dropped_columns select 1, n, 'x', 'v', 2, n from generate_series(1, 20) n;
alter table dropped_columns drop column gone_1, drop column gone_2, drop column gone_3, add column late int not null default 42;

-- ── what a table carries besides rows ──────────────────────────────────────────────────────────────────────────────────

create schema dressed;
set search_path = dressed, public;
alter default privileges in schema dressed grant select on tables to reader;
alter default privileges for role app in schema dressed grant execute on functions to reader;

create table dressed (id int primary key, secret text, value text, document jsonb) with (fillfactor = 80, autovacuum_enabled = false, toast.autovacuum_enabled = false);
comment on schema dressed is 'a schema''s comment';
comment on table dressed is e'a table''s comment\nin two lines; CREATE TABLE no (x int);\n-- not a header';
comment on column dressed.value is '';
comment on column dressed.secret is 'a column''s comment';
comment on constraint dressed_pkey on dressed is 'a key''s comment';
alter table dressed alter column value set statistics 500, alter column value set (n_distinct = -0.5),
  alter column secret set storage external, alter column document set compression lz4;
alter table dressed owner to "Owner ""quoted""";
grant usage on schema dressed to app, reader;
grant select, insert on dressed to app with grant option;
grant select (value), update (value, id) on dressed to reader;
create index by_value on dressed (value);
alter table dressed cluster on by_value;
comment on index by_value is 'an index''s comment';
create statistics dependent (dependencies, mcv) on id, value from dressed;
alter statistics dependent set statistics 50;
insert into dressed select n, 's', 'v' || n, '{}' from generate_series(1, 20) n;
create view overview with (security_barrier) as select id, value from dressed where id > 5 with cascaded check option;
create view grouped as select d.*, count(*) from dressed d group by id;
create materialized view summary as select count(*) as rows from dressed;
create unique index on summary (rows);
