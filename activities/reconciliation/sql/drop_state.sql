-- Removes the tables of reconciliations, and the schema unless a migration has something in it.
do $$
declare
  what text;
begin
  for what in
    select format('drop table if exists godwit.%I cascade', c.relname)
    from pg_class c where c.relnamespace = 'godwit'::regnamespace and c.relkind = 'r' and c.relname ~ '^reconciliation_'
  loop
    execute what;
  end loop;
  if not exists (select from pg_class c where c.relnamespace = 'godwit'::regnamespace) then
    drop schema godwit cascade;
  end if;
end
$$
