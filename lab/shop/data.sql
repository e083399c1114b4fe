-- Rows for the shop; how many of each is in settings of the session (shop.customers, …), so that this stays one script.
-- About 5 s for 900,000 rows on 2 cores.

insert into shop.customers (email, name, preferences, created_at)
select format('customer-%s@example.com', n), format('Customer %s', n),
       jsonb_build_object('newsletter', n % 3 = 0, 'language', (array['en', 'de', 'nl', 'mi'])[1 + n % 4]),
       timestamptz '2025-01-01' + n * interval '1 minute'
  from generate_series(1, current_setting('shop.customers')::int) n;

insert into shop.products (sku, name, price, stock, attributes)
select format('SKU-%s', n), format('Product %s', n), 1 + (n * 7919 % 10000) / 100.0, 1000,
       jsonb_build_object('colour', (array['red', 'green', 'blue'])[1 + n % 3], 'grams', n % 5000)
  from generate_series(1, current_setting('shop.products')::int) n;

insert into shop.orders (request_id, customer_id, status, total, server, placed_at)
select gen_random_uuid(), 1 + n::bigint * 7919 % current_setting('shop.customers')::int,
       (array['placed', 'paid', 'shipped', 'cancelled'])[1 + n % 4]::shop.order_status, 0, 'seed',
       timestamptz '2025-06-01' + n * interval '1 minute'
  from generate_series(1, current_setting('shop.orders')::int) n;

insert into shop.order_lines (order_id, line, product_id, quantity, price)
select o.id, l, p.id, 1 + (o.id + l) % 3, p.price
  from shop.orders o
 cross join generate_series(1, 3) l
  join shop.products p on p.id = 1 + (o.id * 31 + l * 17) % current_setting('shop.products')::int;

update shop.orders o set total = t.total
  from (select order_id, sum(quantity * price) as total from shop.order_lines group by order_id) t
 where t.order_id = o.id;

insert into shop.cart_items (customer_id, product_id, quantity)
select n, 1 + n % current_setting('shop.products')::int, 1 + n % 4
  from generate_series(1, current_setting('shop.customers')::int / 3) n;

insert into shop.account (id) select generate_series(1, current_setting('shop.accounts')::int);

insert into shop.ledger_entry (request_id, account_id, amount, server, at)
select t.request, case when side = 1 then t.debtor else t.creditor end, side * t.amount, 'seed', t.at
  from (select gen_random_uuid() as request, 1 + n % a as debtor, 1 + (n + 1 + n % (a - 1)) % a as creditor,
               1 + n % 100 as amount, timestamptz '2025-06-01' + n * interval '1 second' as at
          from generate_series(1, current_setting('shop.transfers')::int) n,
               (select current_setting('shop.accounts')::int as a) accounts offset 0) t
 cross join (values (-1), (1)) sides (side)
 where t.debtor <> t.creditor;

update shop.account a set balance = t.sum
  from (select account_id, sum(amount) from shop.ledger_entry group by account_id) t
 where t.account_id = a.id;

insert into shop.event (at, request_id, customer_id, kind, server, details)
select timestamptz '2025-06-01' + n * interval '2 minutes', gen_random_uuid(),
       1 + n % current_setting('shop.customers')::int, 'visit', 'seed', jsonb_build_object('product', n % 100)
  from generate_series(1, current_setting('shop.events')::int) n;

analyze;
