-- One pass over a range of a table: for every bucket its rows and the sum of their hashes. sum(bigint) is exact.
select (:bucket)::text as bucket, count(*)::text as count, sum(:hash)::text as sum
from :rows as r
where :range
group by (:bucket)
