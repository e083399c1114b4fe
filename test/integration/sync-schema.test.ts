import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { claim } from '../../activities/postgres/authority.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { prepareSchema, undoSchema } from '../../activities/postgres/schema/prepare.js';
import { parseScript } from '../../activities/postgres/schema/dump.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { undoPublication } from '../../activities/postgres/replication/publication.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { undoFence } from '../../activities/postgres/fence.js';
import { fresh } from '../support/fresh-name.js';
import { catalogOf } from '../support/catalog.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { digestOf, prepareReplication, undoPreparation } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  // Version 15 starts at most one apply worker in this time, whichever subscription wants it.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
  for (const server of [pair.source, pair.target]) await server.query('create role app; create role owner');
});
afterAll(() => pair.destroy());

async function database(name: string, source: string, target = ''): Promise<void> {
  await pair.source.createDatabase(name);
  await pair.target.createDatabase(name);
  await pair.source.query(source, [], name);
  if (target !== '') await pair.target.query(target, [], name);
}

const catalogs = async (name: string): Promise<string[][]> => [
  await catalogOf(pair.source, name),
  await catalogOf(pair.target, name),
];

describe('a copied schema', () => {
  test('is the same on the target once rows are there, and an undo leaves both catalogs as they were found', async () => {
    const name = fresh('everything');
    await database(
      name,
      EVERYTHING,
      `create table mine (id int primary key); insert into mine values (1); create function f() returns int language sql as 'select 1';`,
    );
    const before = await catalogs(name);
    const move = moveOf(pair, name);
    await prepareReplication(move);
    expect(await prepareSchema(move)).toEqual({ created: expect.any(Number) as number });
    await initialSync(move);
    await catchUp(move);
    const target = await catalogOf(pair.target, name);
    const ours = (line: string): boolean => /^(slot godwit_|function godwit\.)/.test(line);
    expect((await catalogOf(pair.source, name)).filter((line) => !target.includes(line) && !ours(line))).toEqual([]);
    expect(await pair.target.query('select * from totals', [], name)).toEqual(
      await pair.source.query('select * from totals', [], name),
    );

    await undoPreparation(move);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
    expect(await pair.target.query('select * from mine', [], name)).toEqual([{ id: 1 }]);
  });

  test('an undo right after each step leaves both catalogs as they were found', async () => {
    const name = fresh('early');
    await database(name, EVERYTHING);
    const before = await catalogs(name);
    const move = moveOf(pair, name);
    await claim(move);
    await prepareSchema(move);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
    await prepareReplication(move);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
    await prepareReplication(move);
    await initialSync(move);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
  });

  test('is fenced on the target from its first moment: who writes there at once is refused', async () => {
    const name = fresh('unguarded');
    for (const server of [pair.source, pair.target]) await server.createDatabase(name);
    await pair.source.query(
      'create table item (id int primary key); create table root (id int) partition by list (id)',
      [],
      name,
    );
    const move = moveOf(pair, name);
    await claim(move);
    await prepareSchema(move);
    for (const table of ['item', 'root']) {
      await expect(pair.target.query(`insert into ${table} values (1)`, [], name)).rejects.toMatchObject({
        code: '25006',
      });
      await expect(pair.target.query(`truncate ${table}`, [], name)).rejects.toMatchObject({ code: '25006' });
    }
    await undoPreparation(move);
  });

  test('tables out of scope stay away, with views, foreign keys and sequences that stand on them', async () => {
    const name = fresh('part');
    await database(
      name,
      `create table kept (id serial primary key, other int);
       create table skipped (id serial primary key);
       alter table kept add constraint to_skipped foreign key (other) references skipped;
       create view both_tables as select kept.id from kept join skipped using (id);
       create view kept_only as select id from kept;
       create view on_view as select * from both_tables;
       insert into kept (other) values (null);`,
    );
    const move = moveOf(pair, name, { tables: { include: ['public.*'], exclude: ['public.skipped'] } });
    await prepareReplication(move);
    await initialSync(move);
    const relations = await pair.target.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace order by 1`,
      [],
      name,
    );
    expect(relations.map((row) => row.name)).toEqual(['kept', 'kept_id_seq', 'kept_only', 'kept_pkey']);
    await undoPreparation(move);
  });

  test('a partition without its parent is refused before anything is made', async () => {
    const name = fresh('orphan');
    await database(
      name,
      `create table parent (id int primary key) partition by range (id); create table leaf partition of parent for values from (0) to (9);`,
    );
    const before = await catalogOf(pair.target, name);
    const move = moveOf(pair, name, { tables: { include: ['public.leaf'], exclude: [] } });
    await expect(claim(move)).rejects.toMatchObject({
      type: 'InvalidSpec',
      message: expect.stringContaining('only a part of the partitioned table public.parent') as string,
    });
    expect(await catalogOf(pair.target, name)).toEqual(before);
  });

  test('a target that has one of the tables is refused, and its table survives the undo', async () => {
    const name = fresh('taken');
    await database(
      name,
      'create table a (id int primary key); create table b (id int primary key)',
      'create table b (x text); insert into b values (1)',
    );
    const before = await catalogs(name);
    const move = moveOf(pair, name);
    await claim(move);
    await expect(prepareSchema(move)).rejects.toMatchObject({
      type: 'TargetNotEmpty',
      message: expect.stringContaining('public.b') as string,
    });
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
    expect(await pair.target.query('select x from b', [], name)).toEqual([{ x: '1' }]);
  });

  test('a role that the target lacks is named, and nothing is made', async () => {
    const name = fresh('roles');
    const stranger = fresh('stranger');
    await pair.source.query(`create role ${stranger}`);
    await database(name, `create table a (id int primary key); grant select on a to ${stranger}`);
    const move = moveOf(pair, name);
    await claim(move);
    await expect(prepareSchema(move)).rejects.toMatchObject({
      type: 'SchemaMismatch',
      message: expect.stringContaining(stranger) as string,
    });
    expect(
      await pair.target.query(`select relname from pg_class where relnamespace = 'public'::regnamespace`, [], name),
    ).toEqual([]);
    await undoPreparation(move);
  });

  test('what somebody else built on the copied tables is never dropped: the undo names it, and goes on once it is gone', async () => {
    const name = fresh('built');
    await database(name, 'create table a (id int primary key)');
    const before = await catalogs(name);
    const move = moveOf(pair, name);
    await claim(move);
    await prepareSchema(move);
    await pair.target.query('create view report as select * from a', [], name);
    await expect(undoSchema(move)).rejects.toMatchObject({
      type: 'Blocked',
      message: expect.stringContaining('public.report') as string,
    });
    await pair.target.query('drop view report', [], name);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
  });

  test('an undo that dies between two portions of many tables goes on, and leaves both catalogs as they were found', async () => {
    const name = fresh('portions');
    // The first depends on the last, so that portions can't be cut anywhere.
    await database(
      name,
      `create table a_0 (id int primary key, last int);
       do $$ begin for i in 1..450 loop execute format('create table a_%s (id int primary key)', i); end loop; end $$;
       create view both_ends as select a_0.id from a_0 join a_450 on a_450.id = last;`,
    );
    const before = await catalogs(name);
    const move = moveOf(pair, name);
    await claim(move);
    await prepareSchema(move);
    const left = async (): Promise<number> => {
      const [row] = await pair.target.query<{ left: number }>(
        `select count(*)::int as left from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')`,
        [],
        name,
      );
      return row?.left ?? NaN;
    };
    const whole = await left();
    injectFaults((point) => {
      if (point === 'undo.dropped') throw new Error('died');
    });
    try {
      await expect(undoSchema(move)).rejects.toThrow('died');
    } finally {
      injectFaults(null);
    }
    expect(await left()).toBeGreaterThan(0);
    expect(await left()).toBeLessThan(whole);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
  });

  test('an undo takes away what the target has of ours while the source is gone, and says that the source is', async () => {
    const name = fresh('gone');
    await database(name, 'create table a (id int primary key); insert into a values (1)');
    const before = await catalogOf(pair.target, name);
    const move = moveOf(pair, name);
    await prepareReplication(move);
    await initialSync(move);
    await pair.source.stop();
    try {
      await expect(undoInitialSync(move)).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
      expect(
        await pair.target.query(
          'select subname from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())',
          [],
          name,
        ),
      ).toEqual([]);
    } finally {
      await pair.source.restart();
    }
    await undoInitialSync(move);
    expect(
      await pair.source.query(`select slot_name from pg_replication_slots where slot_name ~ $1`, [move.key]),
    ).toEqual([]);
    await undoPreparation(move);
    expect(await catalogOf(pair.target, name)).toEqual(before);
  });
});

describe('an existing schema', () => {
  const SHAPE = `
    create type mood as enum ('sad', 'happy');
    create table a (id int primary key, name text not null, m mood);
    create table b (id int, note varchar(10)); alter table b replica identity full;
    create table c (id int primary key, a int references a);`;

  test('every difference is named, and nothing is changed', async () => {
    const name = fresh('differs');
    await database(
      name,
      SHAPE,
      `create type mood as enum ('sad', 'merry');
       create table a (id bigint primary key, name text, m mood, extra int);
       create table b (id int, note varchar(10), primary key (id));`,
    );
    const before = await catalogs(name);
    const move = moveOf(pair, name, { schema: 'existing' });
    await claim(move);
    const refused = await prepareSchema(move).catch((error: unknown) => error);
    expect(refused).toMatchObject({ type: 'SchemaMismatch' });
    const message = refused instanceof Error ? refused.message : '';
    for (const difference of [
      'public.c is missing',
      'public.a: column id is bigint not null, on the source integer not null',
      'public.a: column name is text, on the source text not null',
      'public.a: column m is public.mood (sad, merry), on the source public.mood (sad, happy)',
      'public.a: column extra is integer, on the source missing',
      'public.b: primary key is id, on the source missing',
      'public.b: replica identity is default, on the source full',
    ]) {
      expect(message).toContain(difference);
    }
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
  });

  test('tables that hold rows are refused, and the rows survive the undo', async () => {
    const name = fresh('filled');
    await database(name, SHAPE, `${SHAPE} insert into a values (1, 'kept', null);`);
    const move = moveOf(pair, name, { schema: 'existing' });
    await claim(move);
    await expect(prepareSchema(move)).rejects.toMatchObject({
      type: 'TargetNotEmpty',
      message: expect.stringContaining('public.a') as string,
    });
    await undoPreparation(move);
    expect(await pair.target.query('select name from a', [], name)).toEqual([{ name: 'kept' }]);
  });

  test('one that fits is filled without firing its triggers and foreign keys, and emptied again by the undo', async () => {
    const name = fresh('fits');
    const trigger = `create function no() returns trigger language plpgsql as 'begin raise exception ''fired''; end';
      create trigger no before insert on a for each row execute function no();`;
    await database(
      name,
      `${SHAPE} insert into a values (1, 'x', 'sad'); insert into b values (1, 'y'); insert into c values (1, 1);`,
      `${SHAPE} ${trigger} create table outside (a int references a);`,
    );
    const before = await catalogs(name);
    const move = moveOf(pair, name, { schema: 'existing' });
    await prepareReplication(move);
    await initialSync(move);
    await catchUp(move);
    expect(await digestOf(pair.target, name)).toMatchObject(await digestOf(pair.source, name));
    await undoInitialSync(move);
    await undoPublication(move);
    await undoFence(move);
    await undoPreparation(move);
    expect(await catalogs(name)).toEqual(before);
    expect(
      await pair.target.query(
        'select (select count(*)::int from a) as a, (select count(*)::int from c) as c',
        [],
        name,
      ),
    ).toEqual([{ a: 0, c: 0 }]);
  });
});

test('a dump is split into its entries, whatever their text looks like', () => {
  const script = [
    '-- a preamble',
    'SET x = 1;',
    '--',
    '-- TOC entry 217 (class 1259 OID 16501)',
    '-- Dependencies: 7 894',
    '-- Name: t; Type: TABLE; Schema: shop; Owner: app',
    '--',
    '',
    'CREATE TABLE shop.t (',
    "    note text DEFAULT '--'",
    ');',
    '',
    "SET default_tablespace = '';",
    '',
    '--',
    '-- TOC entry 9 (class 0 OID 0)',
    '-- Name: TABLE t; Type: COMMENT; Schema: shop; Owner: app',
    '-- Data Pos: 0',
    '--',
    '',
    "COMMENT ON TABLE shop.t IS '",
    '--',
    '-- Name: not an entry',
    "';",
    '',
    '-- Completed on 2026-01-01 00:00:00 UTC',
    '',
    '--',
    '-- PostgreSQL database dump complete',
    '--',
    '',
    '\\unrestrict abc',
    '',
  ].join('\n');
  expect(parseScript(script)).toEqual([
    {
      id: 217,
      class: '1259',
      object: '16501',
      dependsOn: [7, 894],
      type: 'TABLE',
      schema: 'shop',
      name: 't',
      owner: 'app',
      statement: "CREATE TABLE shop.t (\n    note text DEFAULT '--'\n);",
    },
    {
      id: 9,
      class: '0',
      object: '0',
      dependsOn: [],
      type: 'COMMENT',
      schema: 'shop',
      name: 'TABLE t',
      owner: 'app',
      statement: "COMMENT ON TABLE shop.t IS '\n--\n-- Name: not an entry\n';",
    },
  ]);
});

/** One of each kind of object that a schema dump knows, some in a circle. */
const EVERYTHING = `
  create extension if not exists citext;
  create schema shop authorization owner;
  create type shop.mood as enum ('a', 'b');
  create type shop.pair as (x int, y text);
  create type shop.span as range (subtype = float8);
  create domain shop.positive as int check (value > 0);
  create collation shop.german from "C";
  create table shop.customer (id serial primary key, mood shop.mood, p shop.positive, name citext collate shop.german, pair shop.pair, boss int,
    unique (p), check (p < 1000000), exclude using btree (name with =));
  create function shop.label(shop.customer) returns text language sql as 'select $1.name::text';
  create function shop.default_mood() returns shop.mood language sql as $f$ select 'a'::shop.mood $f$;
  alter table shop.customer alter mood set default shop.default_mood();
  alter table shop.customer add constraint boss foreign key (boss) references shop.customer;
  create index on shop.customer (mood); create unique index partial on shop.customer (lower(name)) where p > 5;
  create sequence shop.free; create aggregate shop.total(int) (sfunc = int4pl, stype = int, initcond = '0');
  create operator shop.=== (leftarg = int, rightarg = int, function = int4eq);
  create cast (shop.mood as int) with inout;
  comment on table shop.customer is 'it''s'; comment on column shop.customer.p is 'p'; comment on index shop.partial is 'i';
  comment on constraint boss on shop.customer is 'fk'; comment on schema shop is 's'; comment on type shop.mood is 't';
  create table event (id bigint generated always as identity, k int not null, twice int generated always as (k * 2) stored, primary key (id, k)) partition by range (k);
  create table event_low partition of event for values from (0) to (10);
  create table event_rest partition of event default;
  create index on event (k);
  create function touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before insert on event for each row execute function touch();
  create trigger off after update on shop.customer for each row execute function touch();
  alter table shop.customer disable trigger off;
  create view moods as select mood, count(*) from shop.customer group by mood;
  create rule no_insert as on insert to moods do instead nothing;
  create materialized view totals as select mood, sum(p) as total from shop.customer group by 1 order by 1; create unique index on totals (mood);
  create policy mine on shop.customer for select to app using (true); alter table shop.customer enable row level security;
  create statistics related on k, id from event_low;
  alter table event owner to owner; alter function touch owner to owner;
  grant select on moods to app; grant usage on schema shop to app; grant select (id) on shop.customer to app;
  alter default privileges in schema shop grant select on tables to app;
  create function watch() returns event_trigger language plpgsql as 'begin end';
  create event trigger watch on ddl_command_end execute function watch();
  create text search configuration simple_copy (copy = simple);
  insert into shop.customer (p, name) select i, 'n' || i from generate_series(1, 100) i;
  insert into event (k) select i % 20 from generate_series(1, 100) i;
  refresh materialized view totals;`;
