-- Rows whose version was written since a watermark, with their hashes; without a key, a row's hash stands for it.
select array[:key]::text[] as key, (:hash)::text as hash
from :rows as r
where :range and :since
