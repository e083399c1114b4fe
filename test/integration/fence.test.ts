import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import copy from 'pg-copy-streams';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites } from '../../activities/postgres/cutover.js';
import {
  admitCopy,
  brokenTables,
  lockStatements,
  replaceFence,
  resetBreach,
  type FenceState,
} from '../../activities/postgres/fence.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { scopeTables } from '../../activities/postgres/scope.js';
import { Session } from '../../activities/postgres/session.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { underway } from '../support/underway.js';
import { connect, READ_ONLY, refusalOf, until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({
    wal_retrieve_retry_interval: '200ms',
    autovacuum_naptime: '1s',
    autovacuum_max_workers: '8',
  });
});
afterAll(() => pair?.destroy());
afterEach(() => injectFaults(null));

/** Whether anybody wrote after a lease's deadline. */
async function wasBreached(session: Session, key: string): Promise<boolean> {
  const row = await session.row<{ is_called: boolean }>(`select is_called from godwit.${scopeNames(key).breach}`);
  return row?.is_called ?? true;
}

const TABLES = `
  create table outside (id int primary key, note text);
  create table account (
    id int primary key, balance int not null,
    outside int references outside on delete cascade on update cascade
  );
  create table entry (id int primary key, account int not null references account on delete cascade);
  create table measure (at int primary key, value int) partition by range (at);
  create table measure_low partition of measure for values from (0) to (100);
  create table measure_high partition of measure for values from (100) to (200);
  create view account_view as select id, balance from account;
  create table ruled (id int);
  create rule ruled_insert as on insert to ruled do also insert into account values (new.id, 0, null);
  create table watched (id int);
  create function note_watched() returns trigger language plpgsql as
    $$ begin insert into account values (new.id, 0, null); return new; end $$;
  create trigger note after insert on watched for each row execute function note_watched();
  create table deferring (id int);
  create constraint trigger note_later after insert on deferring deferrable initially deferred
    for each row execute function note_watched();
  create function deposit(amount int) returns void language plpgsql security definer as
    $$ begin update account set balance = balance + amount where id = 1; end $$;
  insert into outside values (1, 'one'), (2, 'two');
  insert into account values (1, 100, 1), (2, 200, 2);
  insert into entry values (1, 1), (2, 2);
  insert into measure values (1, 1), (150, 2);
`;

const OUT_OF_SCOPE = ['public.outside', 'public.ruled', 'public.watched', 'public.deferring'];
const SCOPE = { tables: { include: ['*.*'], exclude: OUT_OF_SCOPE } };

/** Fences as the switch does: writers drained by the locks, then the function replaced. */
async function fence(session: Session, move: DatabaseMove, state: FenceState): Promise<void> {
  const tables = await scopeTables(session, move.key);
  await session.transaction(async () => {
    await session.batch(lockStatements(tables, 5_000));
    await replaceFence(session, move.key, state);
  });
}

async function inMilliseconds(session: Session, ms: number): Promise<string> {
  const row = await session.row<{ deadline: string }>(
    'select (clock_timestamp() + make_interval(secs => $1::float8 / 1000))::text as deadline',
    [ms],
  );
  return row?.deadline ?? '';
}

/** One way of writing: what a client did before the fence came, and what it tries afterwards. */
interface Way {
  before?: (client: pg.Client) => Promise<unknown>;
  write: (client: pg.Client) => Promise<unknown>;
}

const sql = (...statements: string[]): Way => ({
  write: async (client) => {
    for (const statement of statements) await client.query(statement);
  },
});

const begun = (isolation: string): Way => ({
  before: async (client) => {
    await client.query(`begin isolation level ${isolation}`);
    await client.query('select sum(balance) from account');
  },
  write: (client) => client.query('update account set balance = 0 where id = 1'),
});

const WAYS: Record<string, Way> = {
  'a superuser': sql('insert into account values (10, 0, null)'),
  'a role that may nothing in our schema': sql('set role app', 'update account set balance = 0'),
  'UPDATE of no row': sql('update account set balance = 0 where false'),
  DELETE: sql('delete from entry'),
  COPY: {
    write: async (client) => {
      const into = client.query(copy.from('copy entry from stdin'));
      await pipeline(Readable.from(['9\t1\n']), into);
    },
  },
  'session_replication_role = replica': sql(
    'set session_replication_role = replica',
    'insert into account values (10, 0, null)',
  ),
  'replica-role UPDATE': sql('set session_replication_role = replica', 'update account set balance = 0'),
  'replica-role DELETE': sql('set session_replication_role = replica', 'delete from measure_low'),
  MERGE: sql(
    'merge into account a using (values (1)) v(id) on a.id = v.id when matched then update set balance = 0 when not matched then do nothing',
  ),
  'ON CONFLICT DO UPDATE': sql(
    'insert into account values (1, 0, null) on conflict (id) do update set balance = excluded.balance',
  ),
  'ON CONFLICT DO NOTHING': sql('insert into account values (1, 0, null) on conflict do nothing'),
  'a writable CTE': sql('with gone as (delete from entry returning id) select count(*) from gone'),
  'a foreign key that cascades a DELETE from a table out of scope': sql('delete from outside where id = 1'),
  'a foreign key that cascades an UPDATE from a table out of scope': sql('update outside set id = 7 where id = 1'),
  'routing through a partitioned root': sql('insert into measure values (50, 1)'),
  'an UPDATE that moves a row to another partition': sql('update measure set at = 120 where at = 1'),
  'a direct write to a partition': sql('insert into measure_low values (50, 1)'),
  'a view': sql('update account_view set balance = 0'),
  'a rule of a table out of scope': sql('insert into ruled values (11)'),
  'a trigger of a table out of scope': sql('insert into watched values (12)'),
  'a deferred trigger that fires at COMMIT': {
    before: async (client) => {
      await client.query('begin');
      await client.query('insert into deferring values (13)');
    },
    write: (client) => client.query('commit'),
  },
  'a SECURITY DEFINER function': sql('set role app', 'select deposit(1)'),
  'a function whose plan is from before': {
    before: (client) => client.query('begin; select deposit(0); rollback'),
    write: (client) => client.query('select deposit(1)'),
  },
  'a prepared plan from before': {
    before: (client) => client.query('prepare spend as update account set balance = balance - 1 where id = 1'),
    write: (client) => client.query('execute spend'),
  },
  'a prepared plan that ran before': {
    before: (client) =>
      client.query(
        'prepare spend as update account set balance = balance - 1 where id = 1; begin; execute spend; execute spend; rollback',
      ),
    write: (client) => client.query('execute spend'),
  },
  'a cursor from before': {
    before: (client) => client.query('begin; declare c cursor for select * from account; fetch c'),
    write: (client) => client.query('delete from account where current of c'),
  },
  'READ COMMITTED, begun before': begun('read committed'),
  'REPEATABLE READ, begun before': begun('repeatable read'),
  'SERIALIZABLE, begun before': begun('serializable'),
  'a transaction that wrote elsewhere before': {
    before: (client) => client.query(`begin isolation level repeatable read; insert into outside values (20, 'mine')`),
    write: (client) => client.query('insert into account values (10, 0, 20)'),
  },
  TRUNCATE: sql('truncate entry'),
  'replica-role TRUNCATE': sql('set session_replication_role = replica', 'truncate entry'),
  'TRUNCATE of a partitioned root': sql('truncate measure'),
  'TRUNCATE of a partition': sql('truncate measure_high'),
  'TRUNCATE that cascades from a table out of scope': sql('truncate outside cascade'),
};

const CONTENTS = `
  select (select json_agg(a order by id) from account a) as account, (select json_agg(e order by id) from entry e) as entry,
         (select json_agg(m order by at) from measure m) as measure, (select json_agg(o order by id) from outside o) as outside`;

describe.each(['closed', 'leased'] as const)('the %s fence', (kind) => {
  const name = `ways_${kind}`;
  const clients = new Map<string, pg.Client>();
  let move: DatabaseMove;
  let session: Session;
  let contents: unknown;

  beforeAll(async () => {
    await pair.source.query(`do $$ begin if to_regrole('app') is null then create role app; end if; end $$`);
    await pair.target.query(`do $$ begin if to_regrole('app') is null then create role app; end if; end $$`);
    move = await replicatedMove(pair, name, `${TABLES}; grant all on all tables in schema public to app;`, SCOPE);
    session = await Session.open('source', pair.source.url(name), { purpose: 'test' });
    for (const [way, { before }] of Object.entries(WAYS)) {
      const client = await connect(pair.source.url(name));
      clients.set(way, client);
      await before?.(client);
    }
    contents = await pair.source.query(CONTENTS, [], name);
    await fence(
      session,
      move,
      kind === 'closed' ? { kind } : { kind, deadline: await inMilliseconds(session, 600_000) },
    );
  });
  afterAll(async () => {
    await Promise.all([...clients.values()].map((client) => client.end()));
    await session?.close();
  });

  test.each(Object.keys(WAYS))('stops %s', async (way) => {
    const client = clients.get(way);
    if (client === undefined) throw new Error('no client');
    expect(await refusalOf(WAYS[way]?.write(client) ?? Promise.resolve())).toBe(READ_ONLY);
    await client.query('rollback');
  });

  test('stops application roles in every time zone and date style', async () => {
    const client = await connect(pair.source.url(name));
    await client.query(`set timezone = 'Pacific/Apia'; set datestyle = 'SQL, DMY'; set search_path = ''`);
    expect(await refusalOf(client.query('insert into public.account values (10, 0, null)'))).toBe(READ_ONLY);
    await client.end();
  });

  test('leaves every row as it was, lets reads and tables out of scope alone, and counts no breach', async () => {
    expect(await pair.source.query(CONTENTS, [], name)).toEqual(contents);
    await pair.source.query(
      `insert into outside values (30, 'free'); update outside set note = 'changed' where id = 30`,
      [],
      name,
    );
    expect(await wasBreached(session, move.key)).toBe(false);
  });
});

describe('the open fence', () => {
  test('lets an application role write that may nothing in our schema', async () => {
    const name = fresh('open_to_all');
    const move = await replicatedMove(pair, name, `${TABLES}; grant all on all tables in schema public to app;`, SCOPE);
    const client = await connect(pair.source.url(name));
    await client.query('set role app');
    await client.query('insert into account values (10, 0, null); truncate entry; insert into measure values (50, 1)');
    await client.end();
    await until(pair.target, name, 'select from measure_low where at = 50');
    expect(move.key).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe('the fence of the target', () => {
  let move: DatabaseMove;
  let target: Session;
  const name = 'apply_passes';
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, SCOPE);
    target = await Session.open('target', pair.target.url(name), { purpose: 'test' });
  });
  afterAll(() => target?.close());

  test('lets logical apply pass: INSERT, UPDATE, DELETE, and TRUNCATE', async () => {
    await pair.source.query(
      'insert into account values (10, 0, null); update account set balance = 5 where id = 2',
      [],
      name,
    );
    await pair.source.query('insert into measure values (51, 1)', [], name);
    await until(pair.target, name, 'select from account where id = 2 and balance = 5');
    await until(pair.target, name, 'select from measure_low where at = 51');
    await pair.source.query('truncate measure', [], name);
    await pair.source.query('delete from account where id = 10; truncate account cascade', [], name);
    await until(pair.target, name, 'select where not exists (select from account) and not exists (select from entry)');
    await until(pair.target, name, 'select where not exists (select from measure)');
  });

  test('refuses everybody else, replica-role TRUNCATE included', async () => {
    for (const statement of ['insert into account values (99, 0, null)', 'truncate account cascade']) {
      expect(await refusalOf(pair.target.query(statement, [], name))).toBe(READ_ONLY);
      expect(await refusalOf(pair.target.query(`set session_replication_role = replica; ${statement}`, [], name))).toBe(
        READ_ONLY,
      );
    }
  });

  test('lets in only the session that holds the token of the copy, until the next token', async () => {
    const client = await connect(pair.target.url(name));
    const write = (id: number): Promise<string | undefined> =>
      refusalOf(client.query(`insert into account values (${id}, 0, null)`));
    const first = await admitCopy(target, move.key);
    expect(await write(50)).toBe(READ_ONLY);
    await client.query(`set godwit.token = 'none'`);
    expect(await write(50)).toBe(READ_ONLY);
    await client.query(`set godwit.token = '${first}'`);
    expect(await write(50)).toBeUndefined();
    expect(await refusalOf(pair.target.query('insert into account values (51, 0, null)', [], name))).toBe(READ_ONLY);
    const second = await admitCopy(target, move.key);
    expect(await write(52)).toBe(READ_ONLY);
    await client.query(`set godwit.token = '${second}'`);
    await client.query('truncate account cascade');
    await client.end();
    const [fenceBody] = await pair.target.query<{ body: string }>(
      `select prosrc as body from pg_proc where proname = '${scopeNames(move.key).fence}'`,
      [],
      name,
    );
    expect(fenceBody?.body).not.toContain(second);
  });

  test('has no token any more once the source has been left and come back', async () => {
    const token = await admitCopy(target, move.key);
    await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
    await expect(admitCopy(target, move.key)).rejects.toMatchObject({ type: 'AuthorityLost' });
    await switchWrites({ move, direction: 'back', mode: 'switch', attempt: 1 });
    expect(
      await refusalOf(
        pair.target.query(`set godwit.token = '${token}'; insert into account values (60, 0, null)`, [], name),
      ),
    ).toBe(READ_ONLY);
  });
});

describe('opening the fence', () => {
  test('takes no lock on any table: a reader does not block it, and nobody queues behind it', async () => {
    const name = fresh('opening');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    const session = await Session.open('source', pair.source.url(name), { purpose: 'test' });
    await fence(session, move, { kind: 'closed' });
    const reader = await connect(pair.source.url(name));
    await reader.query('begin; select * from account; select * from measure; lock table entry in access share mode');
    await session.transaction(async () => {
      await session.run(`set local lock_timeout = '100ms'`);
      await replaceFence(session, move.key, { kind: 'open' });
      const locks = await session.rows<{ name: string }>(
        `select c.relname as name from pg_locks l join pg_class c on c.oid = l.relation
         where l.pid = pg_backend_pid() and c.relnamespace = 'public'::regnamespace`,
      );
      expect(locks).toEqual([]);
    });
    expect(await refusalOf(pair.source.query('insert into account values (10, 0, null)', [], name))).toBeUndefined();
    await reader.end();
    await session.close();
  });

  test('leaks no write in 60 cycles under 4 writers: none passes between the locks of closing and the opening', async () => {
    const name = fresh('cycles');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    const session = await Session.open('source', pair.source.url(name), { purpose: 'test' });
    await pair.source.query('create table public.tick (id bigserial, note text)', [], name);
    let stopping = false;
    const writers = Array.from({ length: 4 }, async () => {
      const client = await connect(pair.source.url(name));
      let passed = 0;
      while (!stopping) {
        const refused = await refusalOf(client.query('update account set balance = balance + 1 where id = 1'));
        if (refused === undefined) passed += 1;
        else expect(refused).toBe(READ_ONLY);
      }
      await client.end();
      return passed;
    }).map(underway);
    const balance = async (): Promise<number> =>
      (await session.row<{ balance: number }>('select balance from public.account where id = 1'))?.balance ?? -1;
    try {
      for (let cycle = 0; cycle < 60; cycle += 1) {
        await fence(session, move, { kind: 'closed' });
        const under = await balance();
        await session.rows('select pg_sleep(0.005)');
        expect(await balance()).toBe(under);
        await replaceFence(session, move.key, { kind: 'open' });
      }
    } finally {
      stopping = true;
    }
    const passed = (await Promise.all(writers)).reduce((sum, count) => sum + count, 0);
    expect(await balance()).toBe(100 + passed);
    await session.close();
  });
});

describe('the triggers of the fence', () => {
  const name = 'always';
  let move: DatabaseMove;
  let source: Session;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, SCOPE);
    source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
  });
  afterAll(() => source?.close());

  test('stand on tables, partitions and roots alike, ENABLE ALWAYS, on both sides', async () => {
    for (const server of [pair.source, pair.target]) {
      const rows = await server.query<{ name: string; n: number }>(
        `select c.relname as name, count(*)::int as n from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where t.tgname like 'godwit%' and t.tgenabled = 'A' group by 1 order by 1`,
        [],
        name,
      );
      expect(rows).toEqual(
        ['account', 'entry', 'measure', 'measure_high', 'measure_low'].map((table) => ({ name: table, n: 2 })),
      );
    }
  });

  const trigger = (): string => scopeNames(move.key).trigger;
  test.each([
    ['ENABLE TRIGGER ALL', () => 'alter table account enable trigger all'],
    ['DISABLE TRIGGER ALL', () => 'alter table account disable trigger all'],
    ['DISABLE TRIGGER USER on a partition', () => 'alter table measure_low disable trigger user'],
    [
      'CREATE OR REPLACE TRIGGER',
      () =>
        `create or replace trigger ${trigger()} before insert or update or delete on entry
         for each statement execute function godwit.${scopeNames(move.key).fence}()`,
    ],
    ['DROP TRIGGER', () => `drop trigger ${scopeNames(move.key).truncateTrigger} on measure`],
  ])('are missed after %s, and a switch is refused before anything is paused', async (_, change) => {
    const spoiled =
      change()
        .match(/account|measure_low|entry|measure/g)
        ?.at(0) ?? '';
    await source.run(`set search_path = public`);
    await source.run('begin');
    await source.run(change());
    const broken = await brokenTables(source, move.key);
    await source.run('rollback');
    expect(broken).toEqual([`public.${spoiled}`]);
    expect(await brokenTables(source, move.key)).toEqual([]);
  });

  test('that lost their state before a switch make it refuse with SchemaMismatch; nothing is fenced', async () => {
    await pair.source.query('alter table account enable trigger all', [], name);
    const reached: string[] = [];
    injectFaults((point) => void reached.push(point));
    await expect(switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 })).rejects.toMatchObject({
      type: 'SchemaMismatch',
    });
    expect(reached).not.toContain('switch.pause');
    expect(await refusalOf(pair.source.query('update account set balance = 1 where id = 1', [], name))).toBeUndefined();
    await pair.source.query(`alter table account enable always trigger ${trigger()}`, [], name);
    await pair.source.query(
      `alter table account enable always trigger ${scopeNames(move.key).truncateTrigger}`,
      [],
      name,
    );
    expect(await switchWrites({ move, direction: 'forward', mode: 'rehearse', attempt: 1 })).toMatchObject({
      kind: 'rehearsed',
    });
  });
});

/** Soon over, for attempts that come to nothing … */
const QUICK = { maxPause: 3_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 100, window: null };
/** … and for those that succeed, on whatever machine. */
const PATIENT = { ...QUICK, maxPause: 30_000 };

const patient = (move: DatabaseMove): DatabaseMove => ({
  ...move,
  database: { ...move.database, cutover: PATIENT },
});

async function openAndFenced(server: PostgresServer, other: PostgresServer, name: string): Promise<void> {
  const write = 'update account set balance = balance where id = 1';
  expect(await refusalOf(server.query(write, [], name))).toBeUndefined();
  expect(await refusalOf(other.query(write, [], name))).toBe(READ_ONLY);
}

describe('fencing', () => {
  const name = 'in_flight';
  let move: DatabaseMove;
  const attempt = () => switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
  const success = (direction: 'forward' | 'back') =>
    switchWrites({ move: patient(move), direction, mode: 'switch', attempt: 1 });
  /** Ends once somebody waits for the table; a round trip would see no more than a part of the tries to lock it. */
  const UNTIL_LOCKED = `
    do $$ begin
      for tries in 1..30000 loop
        exit when exists (select from pg_locks where relation = 'account'::regclass and not granted);
        perform pg_sleep(0.001);
      end loop;
    end $$`;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, { ...SCOPE, cutover: QUICK });
  });

  test('waits for a writer in flight, whose write is then on the target', async () => {
    const writer = await connect(pair.source.url(name));
    await writer.query('begin; update account set balance = 777 where id = 2');
    const [switching, committed] = await Promise.allSettled([
      success('forward'),
      writer.query(`${UNTIL_LOCKED}; commit`),
    ]);
    expect(committed).toMatchObject({ status: 'fulfilled' });
    expect(switching).toMatchObject({ status: 'fulfilled', value: { kind: 'switched' } });
    expect(await pair.target.query('select balance from account where id = 2', [], name)).toEqual([{ balance: 777 }]);
    expect(await success('back')).toMatchObject({ kind: 'switched' });
  });

  test('gives way to a long transaction, names it, and leaves everything open', async () => {
    const writer = await connect(pair.source.url(name), 'nightly-report');
    await writer.query('begin; update account set balance = 778 where id = 2');
    const outcome = await attempt();
    await openAndFenced(pair.source, pair.target, name);
    await writer.end();
    expect(outcome).toMatchObject({ kind: 'not-now' });
    expect(outcome.kind === 'not-now' && outcome.reason).toMatch(/nightly-report.*idle in transaction/);
  });

  test('gives way to a prepared transaction and names it by its gid', async () => {
    await pair.source.query(
      `begin; update account set balance = 779 where id = 2; prepare transaction 'half-done'`,
      [],
      name,
    );
    onTestFinished(async () => {
      await pair.source.query(`rollback prepared 'half-done'`, [], name);
    });
    const outcome = await attempt();
    await openAndFenced(pair.source, pair.target, name);
    expect(outcome).toMatchObject({ kind: 'not-now' });
    expect(outcome.kind === 'not-now' && outcome.reason).toContain('half-done');
  });

  test('lets the clients that wait behind it go on in between', async () => {
    const writer = await connect(pair.source.url(name));
    const client = await connect(pair.source.url(name));
    await writer.query('begin; update account set balance = 780 where id = 2');
    // The server itself looks for the lock: a round trip may take longer than the fence waits gently, and be refused.
    const waiting = client.query(`${UNTIL_LOCKED}; update account set balance = balance + 1 where id = 1`);
    const ended: string[] = [];
    const [switching, passed] = await Promise.allSettled([
      attempt().finally(() => ended.push('attempt')),
      waiting.finally(() => ended.push('client')),
    ]);
    expect(passed).toMatchObject({ status: 'fulfilled' });
    expect(switching).toMatchObject({ status: 'fulfilled', value: { kind: 'not-now' } });
    expect(ended).toEqual(['client', 'attempt']);
  });

  test('is not held up by a reader, whatever it reads', async () => {
    const reader = await connect(pair.source.url(name));
    await reader.query('begin isolation level repeatable read; select * from account; select * from entry for share');
    expect(await success('forward')).toMatchObject({ kind: 'switched' });
    await reader.end();
    expect(await success('back')).toMatchObject({ kind: 'switched' });
  });
});

describe('autovacuum', () => {
  test.each([
    [
      'VACUUM',
      'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1, autovacuum_analyze_threshold = 1000000000',
    ],
    [
      'ANALYZE',
      'autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1, autovacuum_vacuum_threshold = 1000000000, autovacuum_vacuum_insert_threshold = -1',
    ],
  ])('does not hold the fence up: %s is ended before anybody waits', async (what, settings) => {
    const name = fresh(`vacuum_${what.toLowerCase()}`);
    const move = await replicatedMove(
      pair,
      name,
      'create table account (id int primary key, balance int not null, fat text) with (fillfactor = 10); insert into account values (1, 1)',
    );
    await pair.source.query(
      `insert into account select n, n, repeat('x', 100) from generate_series(2, 30000) n`,
      [],
      name,
    );
    // So slow that it is there for minutes.
    await pair.source.query(
      `alter table account set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, ${settings}); update account set balance = 0`,
      [],
      name,
    );
    const running = `from pg_stat_activity where backend_type = 'autovacuum worker' and datname = '${name}' and query like '%${what} public.account%'`;
    await until(pair.source, name, `select ${running}`);
    const [{ pid } = { pid: 0 }] = await pair.source.query<{ pid: number }>(`select pid ${running}`, [], name);
    expect(pid).toBeGreaterThan(0);
    let ended = false;
    injectFaults(async (point) => {
      if (point !== 'switch.pause') return;
      // Told to end by now, it does so at once; untold, it would be there for minutes.
      const gone = `select where not exists (select from pg_stat_activity where pid = ${pid})`;
      await until(pair.source, name, gone, 20_000);
      ended = true;
    });
    const outcome = await switchWrites({ move: patient(move), direction: 'forward', mode: 'switch', attempt: 1 });
    expect(ended).toBe(true);
    expect(outcome).toMatchObject({ kind: 'switched' });
  });
});

describe('the lease', () => {
  const name = 'lease';
  let move: DatabaseMove;
  let source: Session;
  beforeAll(async () => {
    move = await replicatedMove(pair, name, TABLES, { ...SCOPE, cutover: QUICK });
    source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
  });
  afterAll(() => source?.close());

  test('opens by itself at its deadline, even for a transaction that began before it, and notes every write that passed', async () => {
    const old = await connect(pair.source.url(name));
    await old.query('begin isolation level repeatable read; select now(); select * from account');
    await resetBreach(source, move.key);
    const deadline = await inMilliseconds(source, 3_000);
    await fence(source, move, { kind: 'leased', deadline });
    expect(await refusalOf(pair.source.query('update account set balance = 1 where id = 1', [], name))).toBe(READ_ONLY);
    expect(await wasBreached(source, move.key)).toBe(false);
    await source.rows('select pg_sleep(greatest(extract(epoch from $1::timestamptz - clock_timestamp())::float8, 0))', [
      deadline,
    ]);
    await old.query('update account set balance = 5 where id = 2; rollback');
    await old.end();
    expect(await wasBreached(source, move.key)).toBe(true);
    expect(await refusalOf(pair.source.query('set role app; update account set balance = 1', [], name))).toBe('42501');
    await replaceFence(source, move.key, { kind: 'open' });
  });

  test('that ran out under a stalled attempt lets the source write on; the attempt says not-now and undoes itself', async () => {
    let passed: string | undefined = 'never tried';
    injectFaults(async (point) => {
      if (point !== 'switch.ready') return;
      await expect
        .poll(() => refusalOf(pair.source.query('update account set balance = 9 where id = 1', [], name)), {
          timeout: 60_000,
        })
        .toBeUndefined();
      passed = undefined;
    });
    const outcome = await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
    expect(passed).toBeUndefined();
    expect(outcome).toMatchObject({ kind: 'not-now' });
    injectFaults(null);
    expect(await settle(move)).toEqual({ primary: 'source' });
    await openAndFenced(pair.source, pair.target, name);
    expect(await pair.source.query('select balance from account where id = 1', [], name)).toEqual([{ balance: 9 }]);
  });

  test('that ran out for a worker whose own clock stood still makes the cede refuse, by the clock of the source', async () => {
    const clock = performance.now.bind(performance);
    let frozen: number | null = null;
    performance.now = () => frozen ?? clock();
    try {
      injectFaults(async (point) => {
        if (point !== 'switch.ready') return;
        frozen = clock();
        await expect
          .poll(() => refusalOf(pair.source.query('update account set balance = 10 where id = 1', [], name)), {
            timeout: 60_000,
          })
          .toBeUndefined();
      });
      const outcome = await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
      expect(outcome).toMatchObject({ kind: 'not-now', reason: expect.stringContaining('lease ran out') as string });
    } finally {
      performance.now = clock;
    }
    await openAndFenced(pair.source, pair.target, name);
  });

  test('refuses the cede when a write passed, even one that rolled back', async () => {
    injectFaults(async (point) => {
      if (point !== 'switch.ready') return;
      // As after a step of the source's clock there and back: the deadline is ahead, yet somebody passed.
      await pair.source.query(`begin; select nextval('godwit.${scopeNames(move.key).breach}'); rollback`, [], name);
    });
    const outcome = await switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });
    expect(outcome).toMatchObject({ kind: 'not-now', reason: expect.stringContaining('a write passed') as string });
    injectFaults(null);
    await openAndFenced(pair.source, pair.target, name);
    expect(await switchWrites({ move: patient(move), direction: 'forward', mode: 'switch', attempt: 2 })).toMatchObject(
      { kind: 'switched' },
    );
  });
});
