import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites } from '../../activities/postgres/cutover.js';
import { fenceStatements } from '../../activities/postgres/fence.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { Session } from '../../activities/postgres/session.js';
import { READ_ONLY, refusalOf } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair?.destroy());
afterEach(() => injectFaults(null));

const TABLES = `
  create schema elsewhere;
  create table outside (id int primary key, note text);
  create table outside_plain (at int not null, value int);
  create table outside_root (at int not null, value int) partition by range (at);
  create table account (id int primary key, balance int not null);
  create table lone (at int primary key, value int);
  create table measure (at int primary key, value int) partition by range (at);
  create table measure_low partition of measure for values from (0) to (100);
  create table measure_high partition of measure for values from (100) to (200);
  create table outside_spare (at int not null primary key, value int);
  create table pulse (id int primary key, beats int not null);
  insert into account values (1, 100);
  insert into pulse values (1, 0);
`;
const SCOPE = { tables: { include: ['public.*'], exclude: ['public.outside*'] } };

/** `:key` is replaced by the scope's key. */
const REFUSED: Record<string, string> = {
  'ADD COLUMN': 'alter table account add column more int',
  'DROP COLUMN': 'alter table account drop column balance',
  'ALTER TYPE': 'alter table account alter column balance type bigint',
  'RENAME of a column': 'alter table account rename column balance to money',
  'RENAME of a table': 'alter table account rename to account_old',
  'SET SCHEMA': 'alter table account set schema elsewhere',
  'a new CHECK': 'alter table account add check (balance > -1)',
  'DROP CONSTRAINT': 'alter table account drop constraint account_pkey',
  'DISABLE TRIGGER ALL': 'alter table account disable trigger all',
  'DISABLE TRIGGER ALL in a replica-role session':
    'set session_replication_role = replica; alter table account disable trigger all',
  'ENABLE TRIGGER ALL': 'alter table account enable trigger all',
  'CREATE OR REPLACE TRIGGER': `create or replace trigger godwit_fence_:key before insert or update or delete on account
    for each statement execute function godwit.fence_:key()`,
  'ALTER TRIGGER RENAME': 'alter trigger godwit_fence_:key on account rename to something_else',
  'DROP TRIGGER': 'drop trigger godwit_fence_:key on account',
  'DROP of the function of the fence': 'drop function godwit.fence_:key cascade',
  'DROP TABLE': 'drop table account',
  'DROP of a partition': 'drop table measure_low',
  'DROP SCHEMA CASCADE': 'drop schema public cascade',
  'a new partition': 'create table measure_new partition of measure for values from (200) to (300)',
  ATTACH: 'alter table measure attach partition outside_spare for values from (300) to (400)',
  DETACH: 'alter table measure detach partition measure_low',
  'ATTACH of a table in scope to a root out of scope':
    'alter table outside_root attach partition lone for values from (0) to (10)',
  'INHERIT by a table out of scope': 'alter table outside_plain inherit lone',
  'a new child': 'create table kid () inherits (account)',
  'DDL in a function': `do $do$ begin execute 'alter table account add column more int'; end $do$`,
};

const FREE: Record<string, string> = {
  'a new table, changed and dropped':
    'create table free (id int); alter table free add column more int; alter table free rename to freed; drop table freed',
  'tables out of scope': 'alter table outside add column more int; alter table outside drop column more',
  'partitions of a root out of scope':
    'create table outside_part partition of outside_root for values from (0) to (5); drop table outside_part',
  'temporary tables, also of the same name':
    'create temporary table account (id int); alter table pg_temp.account add column more int; drop table pg_temp.account',
  'temporary copies': 'create temporary table mine as select * from account; drop table mine',
  'views and functions':
    'create view seen as select * from account; drop view seen; create function one() returns int language sql return 1; drop function one()',
  schemas: 'create schema another; drop schema another',
};

const withKey = (move: DatabaseMove, sql: string): string => sql.replaceAll(':key', move.key);
const accepts = (server: ServerPair['source'], name: string): Promise<string | undefined> =>
  refusalOf(server.query('update pulse set beats = beats + 1 where id = 1', [], name));

describe.each(['closed', 'leased'] as const)('on a %s side', (kind) => {
  const name = `ddl_${kind}`;
  let move: DatabaseMove;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, SCOPE);
    if (kind === 'closed') {
      expect(await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).toMatchObject({
        kind: 'switched',
      });
      return;
    }
    await using source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
    const row = await source.row<{ deadline: string }>(
      `select (clock_timestamp() + interval '10 minutes')::text as deadline`,
    );
    await source.batch(fenceStatements(move.key, { kind: 'leased', deadline: row?.deadline ?? '' }, true));
  });

  test.each(Object.keys(REFUSED))('%s is refused', async (what) => {
    expect(await refusalOf(pair.source.query(withKey(move, REFUSED[what] ?? ''), [], name))).toBe(READ_ONLY);
  });

  test.each(Object.keys(FREE))('DDL is free for %s', async (what) => {
    expect(await refusalOf(pair.source.query(FREE[what] ?? '', [], name))).toBeUndefined();
  });

  test('an operator without superuser rights meets the same refusal', async () => {
    await pair.source.query(
      `do $$ begin if to_regrole('owner_${kind}') is null then create role owner_${kind}; end if; end $$`,
    );
    expect(
      await refusalOf(
        pair.source.query(`set role owner_${kind}; create temporary table t (id int); drop table t`, [], name),
      ),
    ).toBeUndefined();
  });
});

describe('on the side that takes the writes', () => {
  test('all DDL is free, and one that changed tables in scope keeps the writes where they are', async () => {
    const name = fresh('ddl_open');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
    await pair.target.query('alter table account add column more int', [], name);
    await pair.target.query('alter table measure detach partition measure_low', [], name);
    const points: string[] = [];
    injectFaults((point) => void points.push(point));
    await expect(switchWrites({ move, direction: 'back', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
      type: 'SchemaMismatch',
    });
    expect(points).not.toContain('switch.pause');
    expect(await accepts(pair.target, name)).toBeUndefined();
    await pair.target.query('alter table account drop column more', [], name);
    await pair.target.query('alter table measure attach partition measure_low for values from (0) to (100)', [], name);
    expect(await switchWrites({ move, direction: 'back', mode: 'switch', attempt: 2 })).toMatchObject({
      kind: 'switched',
    });
    await pair.source.query('alter table lone add column more int', [], name);
    expect(await settle(move)).toEqual({ primary: 'source' });
  });
});

describe('DDL during replication', () => {
  const name = 'ddl_during';
  let move: DatabaseMove;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, SCOPE);
  });

  test.each([
    ['source', 'ADD COLUMN', 'alter table account add column more int', 'alter table account drop column more'],
    ['target', 'ADD COLUMN', 'alter table account add column more int', 'alter table account drop column more'],
    [
      'source',
      'a new partition',
      'create table measure_new partition of measure for values from (200) to (300)',
      'drop table measure_new',
    ],
    [
      'source',
      'DETACH',
      'alter table measure detach partition measure_low',
      'alter table measure attach partition measure_low for values from (0) to (100)',
    ],
    [
      'source',
      'ATTACH to a root out of scope',
      'alter table outside_root attach partition lone for values from (0) to (10)',
      'alter table outside_root detach partition lone',
    ],
    ['source', 'RENAME', 'alter table lone rename to alone', 'alter table alone rename to lone'],
    [
      'target',
      'ALTER TYPE',
      'alter table account alter column balance type bigint',
      'alter table account alter column balance type int',
    ],
  ] as const)(
    'on the %s (%s) makes the switch refuse before anything is paused, and is fine once undone',
    async (side, _, ddl, undo) => {
      await pair[side].query(ddl, [], name);
      try {
        const points: string[] = [];
        injectFaults((point) => void points.push(point));
        await expect(switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
          type: 'SchemaMismatch',
        });
        expect(points).not.toContain('switch.pause');
        expect(await accepts(pair.source, name)).toBeUndefined();
        expect(await accepts(pair.target, name)).toBe(READ_ONLY);
      } finally {
        await pair[side].query(undo, [], name);
        injectFaults(null);
      }
      expect(await switchWrites({ move, direction: 'forward', mode: 'rehearse', attempt: 1 })).toMatchObject({
        kind: 'rehearsed',
      });
    },
  );
});

test('DETACH CONCURRENTLY on a closed side, which is half done when it is refused, keeps the writes from going there', async () => {
  const name = fresh('ddl_detach_concurrently');
  const move = await replicatedMove(pair, name, TABLES, SCOPE);
  await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
  const detach = 'alter table measure detach partition measure_low concurrently';
  expect(await refusalOf(pair.source.query(detach, [], name))).toBe(READ_ONLY);
  await expect(switchWrites({ move, direction: 'back', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
    type: 'SchemaMismatch',
  });
  expect(await accepts(pair.target, name)).toBeUndefined();
});

test('a column that the target lacks is named as such, also once it has stopped replication', async () => {
  const name = fresh('ddl_stopped_apply');
  const move = await replicatedMove(pair, name, TABLES, SCOPE);
  await pair.source.query('alter table account add column more int; update account set more = 1', [], name);
  await expect(switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
    type: 'SchemaMismatch',
  });
  expect(await accepts(pair.source, name)).toBeUndefined();
});

describe('where the role may make no event trigger', () => {
  const name = 'ddl_no_event_trigger';
  let move: DatabaseMove;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, SCOPE);
    const { ddlFence } = scopeNames(move.key);
    for (const server of [pair.source, pair.target]) {
      await server.query(`drop event trigger ${ddlFence}_end; drop event trigger ${ddlFence}_drop`, [], name);
    }
  });

  test.each([
    ['ENABLE TRIGGER ALL', 'alter table account enable trigger all', ':enable'],
    [
      'a new partition',
      'create table measure_new partition of measure for values from (200) to (300)',
      'drop table measure_new',
    ],
    ['ADD COLUMN', 'alter table account add column more int', 'alter table account drop column more'],
    [
      'ATTACH to a root out of scope',
      'alter table outside_root attach partition lone for values from (0) to (10)',
      'alter table outside_root detach partition lone',
    ],
  ])('%s after the fence makes the cede itself refuse; the source takes the writes again', async (_, ddl, undo) => {
    const { trigger, truncateTrigger } = scopeNames(move.key);
    const enable = `alter table account enable always trigger ${trigger}; alter table account enable always trigger ${truncateTrigger}`;
    let changed = false;
    injectFaults(async (point) => {
      if (point !== 'switch.ready') return;
      await pair.source.query(ddl, [], name);
      changed = true;
    });
    try {
      await expect(switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
        type: 'SchemaMismatch',
      });
      expect(await accepts(pair.source, name)).toBeUndefined();
      expect(await accepts(pair.target, name)).toBe(READ_ONLY);
    } finally {
      if (changed) await pair.source.query(undo === ':enable' ? enable : undo, [], name);
    }
  });

  test('the switch works as anywhere else when nobody changed anything', async () => {
    expect(await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).toMatchObject({
      kind: 'switched',
    });
  });
});
