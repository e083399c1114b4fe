create or replace function godwit.:ddl_fence() returns event_trigger
language plpgsql security invoker as $fence$
begin
  return;
end
$fence$
