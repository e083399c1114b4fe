-- Rows by key, as text.
select wanted.position::int as position, array[:columns]::text[] as image
from unnest(:arrays) with ordinality as wanted(:names, position)
join :rows as r on :join
