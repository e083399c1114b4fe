-- The ledger as a whole, whoever wrote it: each balance is the sum of its entries, and all entries cancel.
select (select count(*)::int
          from shop.account a
          left join (select account_id, sum(amount) from shop.ledger_entry group by account_id) e on e.account_id = a.id
         where a.balance is distinct from coalesce(e.sum, 0)) as accounts_off,
       (select coalesce(sum(amount), 0)::text from shop.ledger_entry) as entries_sum,
       (select coalesce(sum(balance), 0)::text from shop.account) as balances_sum
