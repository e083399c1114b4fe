/** Owners, grants, comments, settings: what comes along with a copied schema, and what is told where it doesn't. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { prepareReplication, undoPreparation } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  for (const server of [pair.source, pair.target]) await server.query('create role clerk; create role app login');
});
afterAll(() => pair.destroy());

const SHOP = `
  create schema shop authorization clerk;
  create table shop.item (id int primary key, kind text, name text, body text);
  alter table shop.item owner to clerk;
  create index item_by_kind on shop.item (kind) with (fillfactor = 70);
  create function shop.noop() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger noop before insert on shop.item for each row execute function shop.noop();
  insert into shop.item values (1, 'a', 'b', 'c');`;

const DETAILS = `
  alter table shop.item set (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 80);
  alter table shop.item alter name set statistics 500, alter body set storage external, alter body set compression pglz;
  alter table shop.item alter kind set (n_distinct = 7);
  alter table shop.item cluster on item_by_kind;
  alter table shop.item enable row level security;
  create policy all_of_them on shop.item to app using (true);
  create statistics shop.related (dependencies) on kind, name from shop.item;
  alter statistics shop.related set statistics 300;
  comment on table shop.item is 'What is sold';
  comment on column shop.item.kind is 'a, b or c';
  comment on schema shop is 'The shop';
  alter default privileges for role clerk in schema shop grant select on tables to app;
  grant select, update (kind) on shop.item to app;
  grant usage on schema shop to app;
  revoke execute on function shop.noop() from public;`;

const settings = (name: string): string => `
  alter database ${name} set search_path to shop, "Mixed, Case", "$user";
  alter database ${name} set "app.tenant" to 'it''s me';
  alter database ${name} set work_mem to '5MB';
  alter role app in database ${name} set statement_timeout to '7s';`;

async function settingsOn(side: 'source' | 'target', name: string): Promise<string[]> {
  const rows = await pair[side].query<{ setting: string }>(
    `select coalesce(r.rolname || ': ', '') || unnest(s.setconfig) as setting from pg_db_role_setting s
     join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole where d.datname = $1 order by 1`,
    [name],
  );
  return rows.map(({ setting }) => setting);
}

async function database(name: string, source: string, target = ''): Promise<void> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(source, [], name);
  if (target !== '') await pair.target.query(target, [], name);
}

test('a copied schema comes with all of its details, and with the settings of the database; an undo takes them back', async () => {
  const name = fresh('whole');
  await database(name, SHOP + DETAILS + settings(name));
  const before = await catalogOf(pair.target, name);
  const move = moveOf(pair, name);
  expect(await find(move, 'database-settings-differ')).toBeUndefined();
  await prepareReplication(move);
  // Keys, indexes and triggers wait for the rows: nothing is told of them meanwhile.
  expect(await find(move, 'schema-details-differ')).toBeUndefined();
  await initialSync(move);
  expect(await find(move, 'schema-details-differ')).toBeUndefined();
  expect(await find(move, 'database-settings-differ')).toBeUndefined();
  expect(await settingsOn('target', name)).toEqual(await settingsOn('source', name));

  await pair.target.query('alter table shop.item owner to postgres; drop statistics shop.related', [], name);
  const found = await find(move, 'schema-details-differ', 'target');
  expect(found).toMatchObject({ severity: 'warning' });
  expect(found?.evidence).toContain('table shop.item: owner is postgres, on the source clerk');
  expect(found?.evidence).toContain('statistics shop.related: definition is none, on the source CREATE STATISTICS');

  await undoPreparation(move);
  await undoPreparation(move);
  expect(await catalogOf(pair.target, name)).toEqual(before);
});

test('a setting that the target has already stays as it is, and is told; one changed meanwhile survives the undo', async () => {
  const name = fresh('set_there');
  await database(name, SHOP + settings(name), `alter database ${name} set work_mem to '9MB'`);
  const move = moveOf(pair, name);
  const told = await find(move, 'database-settings-differ');
  expect(told?.evidence).toBe('work_mem of the database is 9MB on the target, on the source 5MB');
  expect(told?.repair).toEqual([`ALTER DATABASE "${name}" SET "work_mem" TO '5MB'`]);
  await prepareReplication(move);
  await pair.target.query(`alter database ${name} set "app.tenant" to 'another'`);
  await undoPreparation(move);
  expect(await settingsOn('target', name)).toEqual(['app.tenant=another', 'work_mem=9MB']);
});

test('what a schema of your own lacks is a list of warnings, with the statements for settings', async () => {
  const name = fresh('existing');
  await database(
    name,
    SHOP + DETAILS + settings(name),
    SHOP.replace('insert into shop.item', 'with none (a, b, c, d) as (values (1, 1, 1, 1)) select').replace(
      "values (1, 'a', 'b', 'c')",
      'from none',
    ),
  );
  const move = moveOf(pair, name, { schema: 'existing' });
  const found = await find(move, 'schema-details-differ');
  expect(found?.evidence.split(/, (?=column|default|function|index|policy|schema|statistics|table)/)).toEqual([
    'column body of table shop.item: compression is none, on the source p',
    'column body of table shop.item: storage is none, on the source e',
    'column kind of table shop.item: comment is none, on the source a, b or c',
    'column kind of table shop.item: grants is none, on the source UPDATE to app',
    'column kind of table shop.item: options is none, on the source n_distinct=7',
    'column name of table shop.item: statistics target is none, on the source 500',
    'default privileges of clerk in schema shop: of kind r is none, on the source {app=r/clerk}',
    'index shop.item_by_kind: marked for CLUSTER is none, on the source yes',
    'policy all_of_them on shop.item: definition is none, on the source * true true {app}',
    'schema shop: comment is none, on the source The shop',
    'schema shop: grants is none, on the source USAGE to app',
    'statistics shop.related: definition is none, on the source CREATE STATISTICS shop.related (dependencies) ON kind, name FROM shop.item target 300',
    'table shop.item: comment is none, on the source What is sold',
    'table shop.item: grants is none, on the source SELECT to app',
    'table shop.item: row security is none, on the source enabled',
    'table shop.item: storage parameters is none, on the source autovacuum_vacuum_scale_factor=0.01, fillfactor=80',
    'function shop.noop(): grants is EXECUTE to PUBLIC, on the source none',
  ]);
  const told = await find(move, 'database-settings-differ');
  for (const sql of told?.repair ?? []) await pair.target.query(sql, [], name);
  expect(await find(move, 'database-settings-differ')).toBeUndefined();
  expect(await settingsOn('target', name)).toEqual(await settingsOn('source', name));
  await pair.target.query(DETAILS, [], name);
  expect(await find(move, 'schema-details-differ')).toBeUndefined();
});
