-- One pass over single leaves of an integer key: for each its rows and the sum of their hashes.
select (leaf.low >> :shift)::text as bucket, count(*)::text as count, sum(:hash)::text as sum
from unnest($1::bigint[], $2::bigint[]) as leaf(low, high)
join :rows as r on :column between leaf.low and leaf.high
group by leaf.low
