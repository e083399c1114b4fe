-- Every write of one run that this database holds, by request: how many rows it left, and whether they are what the
-- request makes (a transfer two entries that cancel, an order its lines, a visit one event).
-- $1 and $2: the first and last possible request id of the run.
select request_id::text as id, 'transfer' as kind, count(*) filter (where amount < 0)::int as copies,
       count(*) = 2 * count(*) filter (where amount < 0) and sum(amount) = 0 as whole,
       min(server) as server, max(server) as other_server,
       (extract(epoch from min(at)) * 1000000)::float8 as accepted_at
  from shop.ledger_entry
 where request_id between $1 and $2
 group by request_id
union all
select o.request_id::text, 'order', count(distinct o.id)::int,
       sum(l.quantity * l.price) is not distinct from min(o.total),
       min(o.server), max(o.server), (extract(epoch from min(o.placed_at)) * 1000000)::float8
  from shop.orders o left join shop.order_lines l on l.order_id = o.id
 where o.request_id between $1 and $2
 group by o.request_id
union all
select request_id::text, 'visit', count(*)::int, true,
       min(server), max(server), (extract(epoch from min(at)) * 1000000)::float8
  from shop.event
 where request_id between $1 and $2
 group by request_id
