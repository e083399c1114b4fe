import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove, SwitchInput } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { claim, undoClaim } from '../../activities/postgres/authority.js';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { undoFence } from '../../activities/postgres/fence.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { undoPublication } from '../../activities/postgres/replication/publication.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { prepareSchema, undoSchema } from '../../activities/postgres/schema/prepare.js';
import { Session } from '../../activities/postgres/session.js';
import type { NormalMultiHost } from '../../spec/normal.js';
import { underway } from '../support/underway.js';
import { connect, READ_ONLY, refusalOf, until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { chosenBy } from '../support/libpq.js';
import { moveOf as emptyMoveOf, startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { dieAt, inputOf, SHORT_LEASE } from '../support/switching.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

const END_SESSIONS = readFileSync(new URL('../../activities/postgres/sql/end_sessions.sql', import.meta.url), 'utf8');
const CLIENTS: NormalMultiHost = { kind: 'multiHost', name: 'drivers', roles: null, applications: null };
const BOTH_SOURCE = ['source', 'source'];
const BOTH_TARGET = ['target', 'target'];

const moveOf = (name: string, change: Partial<NormalMultiHost> = {}): Promise<DatabaseMove> =>
  replicatedMove(pair, name, WRITER_TABLES, { ...SHORT_LEASE, endpoints: [{ ...CLIENTS, ...change }] });

/** What pg_db_role_setting says of the database, for all roles. */
async function settings(name: string): Promise<Record<'source' | 'target', string[]>> {
  const of = async (server: ServerPair['source']): Promise<string[]> => {
    const rows = await server.query<{ entry: string }>(
      `select unnest(setconfig) as entry from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
       where d.datname = '${name}' and setrole = 0 order by 1`,
    );
    return rows.map(({ entry }) => entry);
  };
  return { source: await of(pair.source), target: await of(pair.target) };
}

const HINT = 'default_transaction_read_only=on';

async function switched(move: DatabaseMove, direction: SwitchInput['direction']): Promise<void> {
  expect(await switchWrites(inputOf(move, direction))).toMatchObject({ kind: 'switched' });
}

describe('a driver with both hosts', () => {
  test('chooses the side that takes writes before, after and after rolling back, whichever it names first', async () => {
    const name = fresh('chooses');
    const move = await moveOf(name);
    expect(await chosenBy(pair, name)).toEqual(BOTH_SOURCE);
    await switched(move, 'forward');
    expect(await chosenBy(pair, name)).toEqual(BOTH_TARGET);
    await switched(move, 'back');
    expect(await chosenBy(pair, name)).toEqual(BOTH_SOURCE);
    await switched(move, 'forward');
    expect(await chosenBy(pair, name)).toEqual(BOTH_TARGET);
  });

  test('that asks for the primary instead goes by the order of its hosts: no standby, no difference', async () => {
    const name = fresh('asks_primary');
    await moveOf(name);
    expect(await chosenBy(pair, name, 'primary')).toEqual(['source', 'target']);
  });
});

describe('replication', () => {
  test('writes on into a database that says it is read-only, in both directions', async () => {
    const name = fresh('applies');
    const move = await moveOf(name);
    await pair.source.query(
      `insert into entry (id, account) select gen_random_uuid(), 1 from generate_series(1, 500);
       update account set balance = 500 where id = 1; delete from account where id = 3;
       insert into account values (4, 0); update account set id = 5 where id = 4`,
      [],
      name,
    );
    await until(pair.target, name, 'select from account where id = 5');
    await pair.source.query('truncate entry; insert into account values (6, 0)', [], name);
    await until(pair.target, name, 'select from account where id = 6');
    expect(await pair.target.query('select from entry', [], name)).toEqual([]);
    await switched(move, 'forward');
    await pair.target.query(
      'insert into entry (id, account) values (gen_random_uuid(), 5); delete from account where id = 6',
      [],
      name,
    );
    await until(pair.source, name, 'select where not exists (select from account where id = 6)');
    expect(await pair.source.query('select from entry', [], name)).toHaveLength(1);
  });
});

describe('sessions on the side that has closed', () => {
  test('are ended by the switch, and those of the other side are not; later ones that only read stay', async () => {
    const name = fresh('ended');
    const move = await moveOf(name);
    const [before, there] = [await connect(pair.source.url(name)), await connect(pair.target.url(name))];
    await switched(move, 'forward');
    expect(await refusalOf(before.query('select 1'))).toBeDefined();
    expect(await refusalOf(there.query('select 1'))).toBeUndefined();
    const reader = await connect(pair.source.url(name));
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(await refusalOf(reader.query('select 1'))).toBeUndefined();
    expect(await refusalOf(reader.query('update account set balance = 1'))).toBe(READ_ONLY);
    await switched(move, 'back');
    expect(await refusalOf(there.query('select 1'))).toBeDefined();
    expect(await refusalOf(reader.query('select 1'))).toBeUndefined();
    await reader.end();
  });

  test('of other roles, applications and databases stay', async () => {
    const name = fresh('chosen_few');
    const [app, report, neighbour] = [fresh('app'), fresh('report'), fresh('neighbour')];
    await Promise.all(
      [pair.source, pair.target].map((server) =>
        server.query(`create role ${app} login password '${app}'; create role ${report} login password '${report}'`),
      ),
    );
    await pair.source.createDatabase(neighbour);
    const move = await moveOf(name, { roles: [app], applications: ['shop'] });
    const url = (role: string, database = name): string => pair.source.url(database, role, role);
    const shop = await connect(url(app), 'shop');
    const others = await Promise.all([
      connect(url(app), 'cron'),
      connect(url(report), 'shop'),
      connect(url(app, neighbour), 'shop'),
    ]);
    await switched(move, 'forward');
    expect(await refusalOf(shop.query('select 1'))).toBeDefined();
    for (const one of others) expect(await refusalOf(one.query('select 1'))).toBeUndefined();
    await Promise.all(others.map((one) => one.end()));
  });

  test('are ended by a role that may signal and see, but for those of superusers, which it may not', async () => {
    const name = fresh('signalled');
    const move = await moveOf(name);
    const [clients, signals] = [fresh('client'), fresh('signaller')];
    await pair.source.query(
      `create role ${clients} login password 'client'; create role ${signals} login password 'signaller';
       grant usage on schema godwit to ${signals}; grant select on godwit.read_only_hint to ${signals};
       insert into godwit.read_only_hint values ('${move.key}', 'infinity')`,
      [],
      name,
    );
    const client = await connect(pair.source.url(name, clients, 'client'));
    const superuser = await connect(pair.source.url(name));
    await using signaller = await Session.open('source', pair.source.url(name, signals, 'signaller'), {
      purpose: 'test',
    });
    const end = async (): Promise<unknown> => (await signaller.rows(END_SESSIONS, [move.key, null, null]))[0];
    expect(await end()).toEqual({ ended: 0 });
    await pair.source.query(`grant pg_signal_backend, pg_read_all_stats to ${signals}`);
    expect(await end()).toEqual({ ended: 1 });
    expect(await refusalOf(client.query('select 1'))).toBeDefined();
    expect(await refusalOf(superuser.query('select 1'))).toBeUndefined();
    await superuser.end();
  });

  test('of the way back are not among them: changes flow back after the switch', async () => {
    const name = fresh('flows_back');
    const move = await moveOf(name);
    await switched(move, 'forward');
    await pair.target.query('insert into account values (77, 0)', [], name);
    await until(pair.source, name, 'select from account where id = 77');
    await switched(move, 'back');
    await pair.source.query('insert into account values (78, 0)', [], name);
    await until(pair.target, name, 'select from account where id = 78');
  });
});

describe('the settings of both databases', () => {
  test('are as they were found, byte for byte, once all is undone; what else is set stays', async () => {
    const name = fresh('as_found');
    const move = await moveWithSettings(name);
    expect(await settings(name)).toEqual({
      source: ['default_transaction_read_only=off', 'work_mem=8MB'],
      target: [HINT, 'lock_timeout=7s'],
    });
    await switched(move, 'forward');
    expect(await settings(name)).toEqual({ source: [HINT, 'work_mem=8MB'], target: ['lock_timeout=7s'] });
    await undoSwitch(move);
    await undoInitialSync(move);
    await undoPublication(move);
    await undoFence(move);
    expect((await settings(name)).target).toContain(HINT);
    await undoSchema(move);
    const found = {
      source: ['default_transaction_read_only=off', 'work_mem=8MB'],
      target: ['lock_timeout=7s'],
    };
    expect(await settings(name)).toEqual(found);
    // What somebody sets afterwards is theirs: a second undo writes nothing.
    await pair.target.query(`alter database ${name} set default_transaction_read_only = off`);
    await undoSchema(move);
    await undoClaim(move);
    await undoSchema(move);
    expect((await settings(name)).target).toEqual(['default_transaction_read_only=off', 'lock_timeout=7s']);
  });

  test('stay as they are over an attempt that is undone before its cede, and over a rehearsal', async () => {
    const name = fresh('not_ceded');
    const move = await moveOf(name);
    const client = await connect(pair.source.url(name));
    const before = await settings(name);
    expect(await switchWrites({ ...inputOf(move, 'forward'), mode: 'rehearse' })).toMatchObject({ kind: 'rehearsed' });
    injectFaults((point) => {
      if (point === 'switch.ready') throw new Error('an attempt that fails');
    });
    await expect(switchWrites(inputOf(move, 'forward'))).rejects.toThrow('an attempt that fails');
    expect(await settings(name)).toEqual(before);
    expect(await chosenBy(pair, name)).toEqual(BOTH_SOURCE);
    expect(await refusalOf(client.query('update account set balance = 1'))).toBeUndefined();
    await client.end();
  });

  test('of the target are as found after finalize, and the source says for good that it is read-only', async () => {
    const name = fresh('finalized');
    const move = await moveOf(name);
    await switched(move, 'forward');
    await finalizeDatabase(move);
    expect(await settings(name)).toEqual({ source: [HINT], target: [] });
    expect(await chosenBy(pair, name)).toEqual(BOTH_TARGET);
  });

  test.each([
    ['cede', BOTH_TARGET],
    ['open', BOTH_TARGET],
    ['ready', BOTH_SOURCE],
  ])('after a worker died behind %s are in line with the writes once somebody comes', async (point, side) => {
    const name = fresh(`died_${point}`);
    const move = await moveOf(name);
    const writers = Writers.start(pair, name);
    await writers.progress(20);
    await dieAt(`switch.${point}`, inputOf(move, 'forward'));
    // Nobody was told of the new side before it opened.
    expect((await settings(name)).source).toEqual([]);
    await settle(move);
    expect(await chosenBy(pair, name)).toEqual(side);
    await writers.progress(20);
    const primary = side === BOTH_TARGET ? pair.target : pair.source;
    expect(await writers.stop(primary)).toMatchObject({ unexpected: [], lost: 0, balanced: true });
  });

  test('say the same as the fence after two attempts at once, and after one that woke up late', async () => {
    const name = fresh('two_at_once');
    const move = await moveOf(name);
    const writers = Writers.start(pair, name);
    await writers.progress(20);
    await Promise.allSettled([switchWrites(inputOf(move, 'forward')), switchWrites(inputOf(move, 'forward'))]);
    const { primary } = await settle(move);
    expect(await chosenBy(pair, name)).toEqual([primary, primary]);
    if (primary === 'source') await switched(move, 'forward');

    let wake = (): void => undefined;
    const asleep = new Promise<void>((reached) => {
      injectFaults((at) => {
        if (at !== 'switch.open') return;
        injectFaults(null);
        reached();
        return new Promise<void>((resolve) => {
          wake = resolve;
        });
      });
    });
    const late = underway(switchWrites(inputOf(move, 'back')));
    onTestFinished(() => wake());
    await asleep;
    await settle(move);
    await switched(move, 'forward');
    wake();
    await expect(late).rejects.toThrow();
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(await chosenBy(pair, name)).toEqual(BOTH_TARGET);
    expect(await writers.stop(pair.target)).toMatchObject({ unexpected: [], lost: 0, balanced: true });
  });

  test('that the role may not change end the preparation by name, before anything is set', async () => {
    const name = fresh('not_mine');
    const mover = fresh('mover');
    const url: Record<string, { env: string }> = {};
    for (const side of ['source', 'target'] as const) {
      const server = pair[side];
      await server.createDatabase(name);
      await server.query(
        `create role ${mover} login replication password 'mover'; grant create on database ${name} to ${mover};
         grant execute on function pg_control_system(), pg_control_checkpoint(), pg_replication_origin_session_is_setup() to ${mover};
         set role ${mover}; create schema mine; create table mine.thing (id int primary key)`,
        [],
        name,
      );
      url[side] = { env: `TEST_MOVER_${side}` };
      process.env[`TEST_MOVER_${side}`] = server.url(name, mover, 'mover');
    }
    const move = emptyMoveOf(pair, name, { ...url, endpoints: [CLIENTS] });
    await claim(move);
    await expect(prepareSchema(move)).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: expect.stringMatching(
        new RegExp(`database ${name} of the source.*ALTER DATABASE ${name} OWNER TO ${mover}`),
      ) as string,
    });
    expect(await settings(name)).toEqual({ source: [], target: [] });
    await undoSchema(move);
    await undoClaim(move);
  });
});

/** These are there before the hint is. */
async function moveWithSettings(name: string): Promise<DatabaseMove> {
  return replicatedMove(
    pair,
    name,
    `${WRITER_TABLES}
     do $$ begin
       if current_setting('port')::int = ${pair.source.port} then
         alter database ${name} set work_mem = '8MB';
         alter database ${name} set default_transaction_read_only = off;
       else
         alter database ${name} set lock_timeout = '7s';
       end if;
     end $$`,
    { ...SHORT_LEASE, endpoints: [CLIENTS] },
  );
}
