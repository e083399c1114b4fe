-- What the application does, one function a request, so that a request is one round trip and one transaction. Each
-- answers which server took it and when. The moment is read after the first write has passed: from then to the
-- commit, the transaction holds table locks that a fence must wait for, so the moment lies before any later fence.

create type shop.receipt as (server text, at timestamptz);

create function shop.transfer(request uuid, debtor bigint, creditor bigint, amount numeric)
returns shop.receipt language plpgsql as $$
declare
  receipt shop.receipt;
begin
  -- In the order of ids, or two transfers between the same accounts would deadlock.
  perform from shop.account where id in (debtor, creditor) order by id for update;
  update shop.account a
     set balance = a.balance + case when a.id = debtor then -amount else amount end
   where a.id in (debtor, creditor);
  receipt := (shop.server(), clock_timestamp());
  insert into shop.ledger_entry (request_id, account_id, amount, server, at)
  values (request, debtor, -amount, receipt.server, receipt.at), (request, creditor, amount, receipt.server, receipt.at);
  return receipt;
end $$;

create function shop.place_order(request uuid, customer bigint, items integer[])
returns shop.receipt language plpgsql as $$
declare
  receipt shop.receipt;
  placed bigint;
  due numeric;
begin
  perform from shop.products where id = any (items) order by id for update;
  update shop.products set stock = case when stock > 0 then stock - 1 else 1000 end where id = any (items);
  receipt := (shop.server(), clock_timestamp());
  select sum(price) into due from shop.products where id = any (items);
  insert into shop.orders (request_id, customer_id, total, server, placed_at)
  values (request, customer, due, receipt.server, receipt.at) returning id into placed;
  insert into shop.order_lines (order_id, line, product_id, quantity, price)
  select placed, row_number() over (order by id), id, 1, price from shop.products where id = any (items);
  delete from shop.cart_items where customer_id = customer;
  return receipt;
end $$;

create function shop.visit(request uuid, customer bigint, product integer)
returns shop.receipt language plpgsql as $$
declare
  receipt shop.receipt;
begin
  insert into shop.cart_items (customer_id, product_id, quantity) values (customer, product, 1)
  on conflict (customer_id, product_id) do update set quantity = shop.cart_items.quantity + 1;
  receipt := (shop.server(), clock_timestamp());
  insert into shop.event (at, request_id, customer_id, kind, server, details)
  values (receipt.at, request, customer, 'visit', receipt.server, jsonb_build_object('product', product));
  return receipt;
end $$;

create function shop.browse(customer bigint) returns numeric language sql stable as $$
  select coalesce(sum(t.total), 0)
    from (select total from shop.orders where customer_id = customer order by placed_at desc limit 5) t
$$;
