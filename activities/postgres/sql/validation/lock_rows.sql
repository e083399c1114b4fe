-- Locks rows by key in their newest committed version and tells which of them are there.
select wanted.position::int as position
from unnest(:arrays) with ordinality as wanted(:names, position)
join :rows as r on :join
for :strength of r
