select gid, owner, database, extract(epoch from clock_timestamp() - prepared)::float8 as age
from pg_catalog.pg_prepared_xacts
order by prepared
