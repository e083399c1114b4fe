-- Rows for the rental, about 100,000 at a scale of 1, which is in a setting of the session: `set sample.scale = 1`.

create function pg_temp.scaled(n integer) returns integer language sql as $$
  select greatest(1, round(n * coalesce(nullif(current_setting('sample.scale', true), '')::numeric, 1)))::integer
$$;

insert into rental.country (name, currency)
select 'Country ' || n, (array['EUR', 'NZD', 'USD', 'JPY'])[1 + n % 4] from generate_series(1, 20) n;
insert into rental.city (country_id, name) select 1 + n % 20, 'City ' || n from generate_series(1, 200) n;
insert into rental.address (city_id, street, postal_code, phones)
select 1 + n % 200, n || ' Main Street', case when n % 10 > 0 then lpad((n * 37 % 100000)::text, 5, '0') end,
       case when n % 3 = 0 then array['+64 ' || n, '+49 ' || n] else array['+1 ' || n] end
  from generate_series(1, 20 + pg_temp.scaled(2000)) n;

insert into rental.language (name) select unnest(array['English', 'Deutsch', 'Nederlands', 'te reo Māori', '日本語', 'Español']);
insert into rental.genre (name, parent_id)
select 'Genre ' || n, case when n > 4 then 1 + n % 4 end from generate_series(1, 16) n;
insert into rental.performer (given_name, family_name, born)
select 'Given ' || n % 50, 'Family ' || n, case when n % 5 > 0 then date '1930-01-01' + n * 37 % 25000 end
  from generate_series(1, pg_temp.scaled(200)) n;

insert into rental.film (title, description, released, language_id, original_language_id, sequel_of, audience, extras, tags, length,
                         rent_for, rate, replacement_cost)
select format('%s %s %s', (array['The Last', 'A Quiet', 'Burning', 'Forgotten'])[1 + n % 4],
              (array['Voyage', 'Harbour', 'Winter', 'Letter', 'Godwit'])[1 + n % 5], n),
       format('In which %s looks for %s, and finds a way back.', (array['a pilot', 'a clerk', 'a bird'])[1 + n % 3],
              (array['the sea', 'her brother', 'the tide'])[1 + n / 3 % 3]),
       1930 + n % 95, 1 + n % 6, case when n % 4 = 0 then 1 + n % 5 end, case when n % 9 = 0 then n - 1 end,
       (enum_range(null::rental.audience))[1 + n % 5],
       (enum_range(null::rental.extra))[1 : n % 5], array['tag ' || n % 30, 'tag ' || n % 7],
       interval '80 minutes' + n % 70 * interval '1 minute', (2 + n % 4) * interval '1 day', 0.99 + n % 5, 9.99 + n % 20
  from generate_series(1, pg_temp.scaled(1000)) n;
insert into rental.film_performer (film_id, performer_id, billing)
select f.id, 1 + (f.id * 31 + b * 17) % pg_temp.scaled(200), b from rental.film f cross join generate_series(1, 5) b
on conflict (film_id, performer_id) do nothing;
insert into rental.film_genre (film_id, genre_id)
select f.id, 1 + (f.id * g) % 16 from rental.film f cross join generate_series(1, 2) g on conflict do nothing;

-- The manager isn't there yet; the key is checked at the end of the statement's transaction.
begin;
insert into rental.store (name, address_id, manager_id) select 'Store ' || n, n, n from generate_series(1, 4) n;
insert into rental.staff (store_id, address_id, reports_to, name, login, portrait)
select 1 + (n - 1) % 4, n, case when n > 4 then 1 + (n - 1) % 4 end, 'Staff ' || n, 'staff' || n, decode(md5(n::text), 'hex')
  from generate_series(1, 16) n;
commit;

insert into rental.customer (store_id, address_id, name, email, active, preferences, joined)
select 1 + n % 4, 20 + n, 'Customer ' || n, format('customer-%s@example.com', n), n % 20 > 0,
       jsonb_build_object('newsletter', n % 3 = 0, 'genres', jsonb_build_array(n % 16, n % 7)), date '2024-01-01' + n % 365
  from generate_series(1, pg_temp.scaled(2000)) n;

insert into rental.copy (film_id, store_id, available)
select 1 + n % pg_temp.scaled(1000), 1 + n % 4, n % 5 > 0 from generate_series(1, pg_temp.scaled(4000)) n;

-- Ten for each copy, a month apart; a fifth of the last ones is still out.
insert into rental.rental (copy_id, customer_id, staff_id, period)
select c.id, 1 + (c.id * 13 + turn * 7919) % pg_temp.scaled(2000), c.store_id,
       tstzrange(began, case when turn < 10 or c.available then began + (1 + (c.id + turn) % 20) * interval '1 day' end)
  from generate_series(1, 10) turn
 cross join rental.copy c
 cross join lateral (select timestamptz '2025-01-01 10:00+00' + turn * interval '30 days' + c.id % 9 * interval '1 day' as began) b;
insert into rental.payment (paid_at, rental_id, customer_id, staff_id, amount)
select lower(r.period) + r.id % 600 * interval '1 second', r.id, r.customer_id, r.staff_id, f.rate
  from rental.rental r join rental.copy c on c.id = r.copy_id join rental.film f on f.id = c.film_id;

insert into rental.reservation (customer_id, film_id, made_at)
select 1 + n * 7 % pg_temp.scaled(2000), 1 + n % pg_temp.scaled(1000), timestamptz '2025-12-01 10:00+00' + n * interval '1 minute'
  from generate_series(1, pg_temp.scaled(1000)) n on conflict do nothing;
insert into rental.review (film_id, customer_id, stars, body)
select 1 + n % pg_temp.scaled(1000), 1 + n * 3 % pg_temp.scaled(2000), 1 + n % 5, case when n % 2 = 0 then 'Seen ' || n || ' times' end
  from generate_series(1, pg_temp.scaled(6000)) n on conflict do nothing;

refresh materialized view rental.sales;
analyze;
