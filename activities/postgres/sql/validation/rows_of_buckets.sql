-- Rows of leaves that are buckets of the key's hash: one look at the whole table, or a range of its pages, for all
-- of them.
select array[:key]::text[] as key, (:hash)::text as hash
from :rows as r
where (:bucket) = any ($1::bigint[]) and :range
