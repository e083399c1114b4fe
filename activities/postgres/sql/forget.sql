-- Takes the schema away; where reconciliations keep something in it, all but that.
do $$
declare
  what text;
begin
  if to_regclass('godwit.reconciliation_run') is null then
    drop schema godwit cascade;
    return;
  end if;
  for what in
    select format('drop %s if exists godwit.%I cascade', case c.relkind when 'S' then 'sequence' else 'table' end, c.relname)
    from pg_class c
    where c.relnamespace = 'godwit'::regnamespace and c.relkind in ('r', 'S') and c.relname !~ '^reconciliation_'
      -- a sequence of an identity column goes with its table
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')
    union all
    select format('drop function if exists %s cascade', p.oid::regprocedure)
    from pg_proc p where p.pronamespace = 'godwit'::regnamespace
  loop
    execute what;
  end loop;
end
$$
