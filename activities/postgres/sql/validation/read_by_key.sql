-- Rows by key: their hashes, and what tells one version of a row from the next. More than one row for a key is possible
-- where the standby's key is missing.
select wanted.position::int as position,
  string_agg((:hash)::text, ',' order by (:hash)) as signature,
  string_agg(r.xmin::text || r.ctid::text, ',' order by r.ctid) as version
from unnest(:arrays) with ordinality as wanted(:names, position)
join :rows as r on :join
group by wanted.position
