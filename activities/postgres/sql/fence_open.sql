-- The open fence: a call of an empty function for each statement, and nothing else.
create or replace function godwit.:fence() returns trigger
language plpgsql security invoker as $fence$
begin
  return null;
end
$fence$
