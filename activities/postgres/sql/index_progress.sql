-- How far indexes are that these backends build: $1 pids. Sorting counts nothing; loading counts tuples, all else blocks.
select pid, phase,
  blocks_done::float8 as "blocksDone", blocks_total::float8 as "blocksTotal",
  tuples_done::float8 as "tuplesDone", tuples_total::float8 as "tuplesTotal"
from pg_catalog.pg_stat_progress_create_index
where pid = any ($1::int[])
