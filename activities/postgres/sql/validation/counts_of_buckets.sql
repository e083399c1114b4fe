-- Without a key, a row's hash stands for it, and how often it occurs is what can differ.
select array[(:hash)::text] as key, count(*)::text as hash
from :rows as r
where (:bucket) = any ($1::bigint[]) and :range
group by (:hash)
