-- The rows of these keys: for every so many of them, in the order of the keys, how many there are and the sum of their hashes.
select ((wanted.position - 1) / :size)::text as bucket, count(*)::text as count, sum(:hash)::text as sum
from unnest(:arrays) with ordinality as wanted(:names, position)
join :rows as r on :join
group by 1
