-- The last query of each client that began one a moment ago: of short ones hardly one is seen in its middle.
select a.pid || ' ' || a.query_start as query
from pg_catalog.pg_stat_activity a
where a.backend_type = 'client backend' and a.application_name !~ '^godwit '
  and a.query_start > clock_timestamp() - interval '6 milliseconds'
