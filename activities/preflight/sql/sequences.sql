-- Sequences of the scope's schemas, and how much of each is used up. $1, $2: schemas and names (the names don't matter).
select format('%I.%I', s.schemaname, s.sequencename) as name, s.last_value::text as last,
  case when s.increment_by > 0 then s.max_value else s.min_value end::text as "limit",
  case when s.increment_by > 0
    then (s.last_value::numeric - s.min_value) / nullif(s.max_value::numeric - s.min_value, 0)
    else (s.max_value::numeric - s.last_value) / nullif(s.max_value::numeric - s.min_value, 0)
  end::float8 as used
from pg_catalog.pg_sequences s
where s.schemaname = any ($1::text[]) and not s.cycle and s.last_value is not null
  and cardinality($2::text[]) > 0
order by 1
