-- Rows of leaves that are ranges of an integer key.
select array[:key]::text[] as key, (:hash)::text as hash
from unnest($1::bigint[], $2::bigint[]) as leaf(low, high)
join :rows as r on :column between leaf.low and leaf.high
