/**
 * What the catalogs of one database hold, as sorted lines without OIDs: taken before a migration and after its undo, two
 * of these must be equal. Slots and subscriptions are the whole server's.
 */
import type { PostgresServer } from '../../lab/postgres.js';

const CATALOG = `
  select line from (
    select format('schema %s %s %s', nspname, nspowner::regrole, nspacl) as line from pg_namespace
      where nspname !~ '^pg_(toast_)?temp_'
    union all
    select format('relation %s.%s %s %s persistence=%s identity=%s rls=%s partition=%s %s', n.nspname, c.relname, c.relkind,
                  c.relowner::regrole, c.relpersistence, c.relreplident, c.relrowsecurity, c.relispartition, c.relacl)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname <> 'pg_catalog' and n.nspname !~ '^pg_(toast|temp)'
    union all
    select format('column %s.%s.%s %s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where a.attnum > 0 and not a.attisdropped and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    union all
    select format('function %s %s', p.oid::regprocedure, md5(p.prosrc)) from pg_proc p
      where p.pronamespace <> 'pg_catalog'::regnamespace
    union all
    select format('type %s.%s %s', n.nspname, t.typname, t.typtype) from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where n.nspname <> 'pg_catalog' and n.nspname !~ '^pg_(toast|temp)'
    union all
    select format('trigger %s on %s %s', tgname, tgrelid::regclass, tgenabled) from pg_trigger where not tgisinternal
    union all
    select format('constraint %s on %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
    union all
    select format('policy %s on %s', polname, polrelid::regclass) from pg_policy
    union all
    select format('event trigger %s %s', evtname, evtenabled) from pg_event_trigger
    union all
    select format('publication %s', pubname) from pg_publication
    union all
    select format('subscription %s enabled=%s', subname, subenabled) from pg_subscription
    union all
    select format('slot %s %s', slot_name, slot_type) from pg_replication_slots
    union all
    select format('origin %s', roname) from pg_replication_origin
    union all
    select format('extension %s %s', extname, extversion) from pg_extension
    union all
    select format('role %s super=%s', rolname, rolsuper) from pg_roles
    union all
    select format('setting %s %s %s', setdatabase, setrole, setconfig) from pg_db_role_setting
  ) lines
  order by line collate "C"`;

export async function catalogOf(server: PostgresServer, database: string): Promise<string[]> {
  return (await server.query<{ line: string }>(CATALOG, [], database)).map((row) => row.line);
}
