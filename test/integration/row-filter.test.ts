/** Tables of which only some rows move. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { claim } from '../../activities/postgres/authority.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { admitCopy } from '../../activities/postgres/fence.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { Session } from '../../activities/postgres/session.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { ServerVersions } from '../support/postgres-versions.js';
import { find } from '../support/preflight.js';
import { inputOf } from '../support/switching.js';
import { finishedRanges, prepareReplication, undoPreparation, until } from '../support/sync.js';

const TABLES = `
  create table orders (id int, tenant int not null, note text, primary key (id, tenant));
  create table parted (id int, tenant int, primary key (id, tenant)) partition by range (id);
  create table parted_low partition of parted for values from (minvalue) to (500);
  create table parted_high partition of parted for values from (500) to (maxvalue);
  create table whole (id serial primary key, note text);
  -- Column names that the statements of a comparison use themselves.
  create table awkward (position int, hash int, k1 text, "or" boolean, primary key (position, hash));
  insert into orders select i, i % 3, 'note ' || i from generate_series(1, 3000) i;
  insert into parted select i, i % 3 from generate_series(1, 1000) i;
  insert into whole (note) select 'n' from generate_series(1, 10);
  insert into awkward select i, i % 2, 'k', true from generate_series(1, 100) i;
`;

const FILTERS = {
  'public.orders': 'tenant in (1, 2)',
  'public.parted': 'tenant = 1',
  'public.awkward': 'position > 50 -- rest',
};

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s is as long as a switch may take.
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());

async function moveWith(name: string, rowFilters: Record<string, string>, ddl = TABLES): Promise<DatabaseMove> {
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await pair.source.query(ddl, [], name);
  return moveOf(pair, name, {
    tables: { include: ['*.*'], exclude: [], rowFilters },
    copy: { parallelism: 2, rangeSize: 32 * 1024, rateLimit: null },
  });
}

const numbersOf = async (side: 'source' | 'target', sql: string, name: string): Promise<number[]> =>
  (await pair[side].query<{ n: number }>(sql, [], name)).map(({ n }) => n);

describe('rows that a filter lets pass', () => {
  test('move, leave and enter by updates, come back with all that was written meanwhile; the others stay as they are', async () => {
    const name = fresh('filtered');
    const move = await moveWith(name, FILTERS);
    const before = { source: await catalogOf(pair.source, name), target: await catalogOf(pair.target, name) };
    expect((await find(move, 'rows-stay-behind'))?.evidence).toContain('public.orders moves where tenant in (1, 2)');
    await prepareReplication(move);
    const { rows } = await initialSync(move);
    expect(rows).toBe(2000 + 334 + 10 + 50);
    expect(await finishedRanges(pair, name)).toBeGreaterThan(5);
    await catchUp(move);
    await pair.source.query(
      `update orders set tenant = 0 where id between 1 and 30;
       update orders set tenant = 1 where id between 300 and 330;
       update parted set id = id + 400 where id between 200 and 250;
       delete from orders where id = 400;
       insert into orders values (5000, 0, 'stays'), (5001, 2, 'moves');
       update awkward set position = 200 where position = 1`,
      [],
      name,
    );
    const certificate = await validate(move);
    expect(certificate).toMatchObject({ verdict: 'equal' });
    const there = await pair.target.query<{ rows: string }>(
      `select count(*) filter (where tenant in (1, 2)) || ' of ' || count(*) as rows from orders`,
      [],
      name,
    );
    const here = await pair.source.query<{ rows: string }>(
      `select count(*) filter (where tenant in (1, 2)) || ' of ' || count(*) filter (where tenant in (1, 2)) as rows from orders`,
      [],
      name,
    );
    expect(there).toEqual(here);
    expect(await numbersOf('target', 'select position as n from awkward where position = 200', name)).toEqual([200]);

    const left = await numbersOf('source', 'select id as n from orders where tenant = 0 order by 1', name);
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await pair.target.query(
      `insert into orders values (6000, 1, 'new'), (6001, 7, 'of another tenant');
       update orders set note = 'changed' where id = 100;
       update orders set tenant = 9 where id = 101;
       delete from parted where id = 100`,
      [],
      name,
    );
    await expect(pair.target.query('truncate orders', [], name)).rejects.toThrow('cannot truncate public.orders');
    await expect(pair.target.query('truncate whole', [], name)).resolves.toBeDefined();
    await expect(pair.source.query(`update orders set note = 'x' where tenant = 0`, [], name)).rejects.toThrow();
    expect(await validate(move)).toMatchObject({ verdict: 'equal' });
    await undoSwitch(move);
    expect(await numbersOf('source', 'select id as n from orders where id in (6000, 6001) order by 1', name)).toEqual([
      6000, 6001,
    ]);
    expect(await numbersOf('source', 'select tenant as n from orders where id = 101', name)).toEqual([9]);
    expect(await numbersOf('source', 'select id as n from orders where tenant = 0 order by 1', name)).toEqual(left);
    await undoPreparation(move);
    expect(await catalogOf(pair.source, name)).toEqual(before.source);
    expect(await catalogOf(pair.target, name)).toEqual(before.target);
  });

  test('are what a comparison sees: a row that is lost, another that is too many', async () => {
    const name = fresh('compared');
    const move = await moveWith(name, FILTERS);
    await prepareReplication(move);
    await initialSync(move);
    await catchUp(move);
    {
      await using target = await Session.open('target', pair.target.url(name), { purpose: 'test' });
      const token = await admitCopy(target, move.key);
      await target.rows(`select set_config('godwit.token', $1, false)`, [token]);
      await target.run('delete from public.orders where id = 1');
      await target.run('insert into public.awkward values (500, 1)');
    }
    const { id, verdict } = await validate(move);
    expect(verdict).toBe('different');
    const found = await pair.target.query<{ row: string }>(
      `select format('%s %s %s', table_name, key::text, kind) as row from godwit.validation_difference where certificate = $1 order by 1`,
      [id],
      name,
    );
    expect(found.map(({ row }) => row)).toEqual(['awkward {500,1} extra', 'orders {1,1} missing']);
    const [stated] = await pair.target.query<{ filters: Record<string, string> }>(
      `select json_object_agg(t ->> 'name', t ->> 'rowFilter') as filters
       from godwit.certificate, json_array_elements(body -> 'tables') t where id = $1`,
      [id],
      name,
    );
    expect(stated?.filters).toMatchObject({ orders: '(tenant = ANY (ARRAY[1, 2]))', whole: null });
  });

  test('are compared again after an interrupted copy, and what fits is kept', async () => {
    const name = fresh('resumed');
    const move = await moveWith(
      name,
      { 'public.big': 'id % 2 = 0' },
      `
      create table big (id int primary key, body text);
      insert into big select i, repeat('x', 200) from generate_series(1, 20000) i;`,
    );
    const slow = { ...move, database: { ...move.database, copy: { ...move.database.copy, rateLimit: 200_000 } } };
    await prepareReplication(move);
    const interrupted = initialSync(slow).catch((error: unknown) => error);
    await until(async () => (await finishedRanges(pair, name)) > 3, 'ranges are copied');
    await pair.target.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'godwit ' || $1 || ' sync%'`,
      [move.key],
    );
    await interrupted;
    const { rows, rangesKept } = await initialSync(move);
    expect(rows).toBe(10_000);
    expect(rangesKept).toBeGreaterThan(2);
    expect(await numbersOf('target', 'select count(*)::int as n from big where id % 2 = 1', name)).toEqual([0]);
  });

  test('are not overwritten on the way back: a key that one of them has stops it, and the writes stay where they are', async () => {
    const name = fresh('conflict');
    const move = await moveWith(name, FILTERS);
    await prepareReplication(move);
    await initialSync(move);
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await pair.target.query(`insert into orders values (3, 0, 'mine')`, [], name);
    const impatient = { ...move, database: { ...move.database, cutover: { ...move.database.cutover, maxLag: 500 } } };
    expect(await switchWrites(inputOf(impatient, 'back'))).toMatchObject({ kind: 'not-now' });
    expect((await observe(move)).primary).toBe('target');
    const [row] = await pair.source.query<{ note: string }>('select note from orders where id = 3', [], name);
    expect(row?.note).toBe('note 3');
  });

  test('stay on the source when the migration is finalized; of ours nothing stays on the target', async () => {
    const name = fresh('finalized');
    const move = await moveWith(name, FILTERS);
    await prepareReplication(move);
    await initialSync(move);
    await switchWrites(inputOf(move, 'forward'));
    await finalizeDatabase(move);
    expect((await catalogOf(pair.target, name)).filter((line) => line.includes(move.key))).toEqual([]);
    await pair.target.query('truncate orders', [], name);
    expect(await numbersOf('source', 'select count(*)::int as n from orders where tenant = 0', name)).toEqual([1000]);
  });
});

describe('a filter is refused', () => {
  const DDL = `
    create table t (id int primary key, tenant int not null, doc jsonb);
    create function mine(int) returns boolean language sql immutable as 'select $1 > 0';`;

  test.each([
    ['over a column outside of the replica identity', 'tenant = 1', /outside of the replica identity/],
    ['over a column that is not there', 'nothing = 1', /column "nothing" does not exist/],
    ['that is no condition', 'id +', /syntax error/],
    ['that brings a statement along', 'id = 1); drop table t; --', /syntax error|multiple commands/],
    ['that is a subquery', 'id in (select 1)', /subquer|invalid publication WHERE/],
    ['with a function of a user', 'public.mine(id)', /invalid publication WHERE/],
    ['that changes by itself', 'id > random()', /invalid publication WHERE/],
  ])('%s; nothing is published', async (_, filter, message) => {
    const name = `refused_${Math.random().toString(36).slice(2, 10)}`;
    const move = await moveWith(name, { 'public.t': filter }, DDL);
    await expect(prepareReplication(move)).rejects.toMatchObject({
      type: 'InvalidSpec',
      message: expect.stringMatching(message) as string,
    });
    await pair.source.query('update t set tenant = 2', [], name);
    expect((await catalogOf(pair.source, name)).filter((line) => line.startsWith('publication'))).toEqual([]);
  });

  test('of two that name one table, and of one that names none', async () => {
    const move = await moveWith(fresh('ambiguous'), { 'public.t': 'id = 1', 'public.*': 'id = 2' }, DDL);
    await expect(claim(move)).rejects.toThrow('two conditions for public.t');
    const none = await moveWith(fresh('idle'), { 'public.other': 'id = 1' }, DDL);
    await expect(claim(none)).rejects.toThrow('names public.other, and no table of the source that moves');
  });

  test('by preflight, with the statement that mends it', async () => {
    const name = fresh('mended');
    const move = await moveWith(name, { 'public.t': 'tenant = 1' }, DDL);
    const finding = await find(move, 'row-filter-unusable');
    expect(finding).toMatchObject({ severity: 'error' });
    await pair.source.query('alter table t replica identity full', [], name);
    expect(await find(move, 'row-filter-unusable')).toBeUndefined();
  });

  test('by a source older than 15', async () => {
    const versions = await ServerVersions.open(new Set([14, 15] as const));
    try {
      const old = await versions.pair(14, 15);
      for (const server of [old.source, old.target]) await server.createDatabase('old');
      await old.source.query(DDL, [], 'old');
      const move = moveOf(old, 'old', {
        tables: { include: ['*.*'], exclude: [], rowFilters: { 'public.t': 'id = 1' } },
      });
      await expect(claim(move)).rejects.toThrow(
        'row filters need PostgreSQL 15 or newer on the source, and this is 14',
      );
    } finally {
      await versions.destroy();
    }
  });
});

describe('foreign keys to a table of which only some rows move', () => {
  const FAMILIES = `
    create table tenant (id int primary key, name text);
    create table invoice (id int, tenant int references tenant, parent int, parent_tenant int, primary key (id, tenant),
      foreign key (parent, parent_tenant) references invoice);
    create table audit (id int primary key, invoice int, tenant int, foreign key (invoice, tenant) references invoice);
    create table free (id int primary key, tenant int references tenant);
    insert into tenant select i, 'name' from generate_series(1, 3) i;
    insert into invoice values (1, 1, null, null), (2, 2, 1, 1), (3, 2, 2, 2);
    insert into audit values (1, 1, 1), (2, 2, 2), (3, null, 1);
    insert into free values (1, null), (2, 2)`;
  const SECOND = 'tenant = 2 -- only';

  test('are refused by name where a row moves whose parent stays, and told where none does', async () => {
    const name = fresh('families');
    const move = await moveWith(name, { 'public.tenant': 'id = 2', 'public.invoice': SECOND }, FAMILIES);
    expect(await find(move, 'parents-stay-behind')).toMatchObject({
      severity: 'error',
      evidence:
        'audit_invoice_tenant_fkey from public.audit to public.invoice, invoice_parent_parent_tenant_fkey from public.invoice to public.invoice',
    });
    expect(await find(move, 'parents-may-stay')).toMatchObject({
      severity: 'info',
      evidence:
        'free_tenant_fkey from public.free to public.tenant (no row of now), invoice_tenant_fkey from public.invoice to public.tenant (no row of now)',
    });
    await pair.source.query('update invoice set parent = null where id = 2', [], name);
    const filters = { 'public.tenant': 'id = 2', 'public.invoice': SECOND, 'public.audit': 'id = 2' };
    const together = {
      ...move,
      database: { ...move.database, tables: { ...move.database.tables, rowFilters: filters } },
    };
    expect(await find(together, 'parents-stay-behind')).toBeUndefined();
    const whole = { ...move, database: { ...move.database, tables: { include: ['*.*'], exclude: [] } } };
    expect(await find(whole, 'parents-may-stay')).toBeUndefined();
  });

  test('and multiHost is refused with such a table', async () => {
    const move = await moveWith(fresh('hosts_of_rows'), FILTERS);
    const endpoints = [{ kind: 'multiHost' as const, name: 'drivers', roles: null, applications: null }];
    const led = { ...move, database: { ...move.database, endpoints } };
    expect(await find(led, 'multi-host-partial-scope')).toMatchObject({
      severity: 'error',
      evidence: expect.stringMatching(/^rows of these stay: public.awkward, public.orders, public.parted/) as string,
    });
    const whole = { ...led, database: { ...led.database, tables: { include: ['*.*'], exclude: [] } } };
    expect(await find(whole, 'multi-host-partial-scope')).toBeUndefined();
  });
});
