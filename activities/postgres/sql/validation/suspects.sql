-- Open suspects of the newest certificate of a scope.
select d.id::text as id, d.schema_name as schema, d.table_name as name, d.key
from godwit.validation_difference d
where d.state = 'suspect' and d.certificate = (
  select c.id from godwit.certificate c where c.scope = $1 order by c.taken_at desc limit 1
)
order by 2, 3
