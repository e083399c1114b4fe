-- How often rows of these hashes occur, in a table without a key.
select wanted.position::int as position, count(*)::text as signature, '' as version
from unnest($1::text[]) with ordinality as wanted(hash, position)
join (select (:hash) as hash from :rows as r where :range offset 0) as r on r.hash = wanted.hash::bigint
group by wanted.position
