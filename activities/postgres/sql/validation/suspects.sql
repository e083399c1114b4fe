-- What the newest certificate of a scope left open or found different. A difference counts at every attempt until it is gone:
-- somebody may have repaired it meanwhile, and a retry must not switch past one that is still there.
select d.id::text as id, d.schema_name as schema, d.table_name as name, d.key
from godwit.validation_difference d
where d.state <> 'cleared' and d.certificate = (
  select c.id from godwit.certificate c where c.scope = $1 order by c.taken_at desc limit 1
)
order by 2, 3
