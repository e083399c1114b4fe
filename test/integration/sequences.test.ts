import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { undoFence } from '../../activities/postgres/fence.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { underway } from '../support/underway.js';
import { connect, refusalOf } from '../support/clients.js';
import { catalogOf } from '../support/catalog.js';
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
  create table plain (id bigserial primary key, note text);
  create table tagged (id int generated always as identity (start with 1000 increment by 5) primary key, note text);
  create table aside (id serial primary key, note text);
  create sequence unowned;
  create sequence cached cache 20;
  create sequence descending increment by -1;
  create sequence descending_cached increment by -3 minvalue -1000000 maxvalue 900 start with 900 cache 10;
  create sequence tens increment by 10 minvalue 5 start with 5;
  create sequence never_called;
  create sequence never_called_seven start with 7;
  create sequence never_called_descending increment by -1 start with -4;
  create sequence tiny as smallint minvalue -32768 start with -32768;
  create sequence never_called_huge increment by -1 maxvalue 9223372036854775807 start with 9223372036854775807;
  create sequence "Odd ""name""";
`;
const SCOPE = { tables: { include: ['*.*'], exclude: ['public.aside'] } };

/** Called before the first switch. */
const CALLED = [
  'plain_id_seq',
  'tagged_id_seq',
  'unowned',
  'cached',
  'descending',
  'descending_cached',
  'tens',
  'tiny',
  '"Odd ""name"""',
];
const UNCALLED = ['never_called', 'never_called_seven', 'never_called_descending', 'never_called_huge'];

/** What `nextval` answers once it is capped: the sequence has reached its end. */
const AT_ITS_END = '2200H';

async function draw(client: pg.Client, sequence: string): Promise<bigint> {
  const { rows } = await client.query<{ id: string }>(`select nextval($1)::text as id`, [`public.${sequence}`]);
  return BigInt(rows[0]?.id ?? 0);
}

const limitsOf = (server: PostgresServer, name: string) =>
  server.query(
    `select seqrelid::regclass::text as name, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle
     from pg_sequence where seqrelid::regclass::text not like 'godwit.%' order by 1`,
    [],
    name,
  );

const switching = (move: DatabaseMove, direction: 'forward' | 'back', mode: 'switch' | 'rehearse' = 'switch') =>
  switchWrites({ move, direction, mode, attempt: 1 });

describe('no id is handed out by both sides', () => {
  test('over a switch, its way back and another switch: by old sessions, cached values, and sequences never called', async () => {
    const name = fresh('both_sides');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    const sessions = {
      source: await connect(pair.source.url(name)),
      target: await connect(pair.target.url(name)),
    };
    const handedOut = new Map<string, Set<bigint>>([...CALLED, ...UNCALLED].map((sequence) => [sequence, new Set()]));
    const take = async (client: pg.Client, sequence: string): Promise<void> => {
      const id = await draw(client, sequence);
      expect(handedOut.get(sequence), `${sequence} handed out ${id} before`).not.toContain(id);
      handedOut.get(sequence)?.add(id);
    };
    // A look at the target before the first switch fills the caches of its session; nothing of it could be stored.
    for (const sequence of CALLED) await draw(sessions.target, sequence);

    for (const [direction, from, to] of [
      ['forward', 'source', 'target'],
      ['back', 'target', 'source'],
      ['forward', 'source', 'target'],
      ['back', 'target', 'source'],
    ] as const) {
      for (const sequence of CALLED) {
        for (let n = 0; n < 3; n += 1) await take(sessions[from], sequence);
        const another = await connect(pair[from].url(name));
        await take(another, sequence);
        await another.end();
      }
      expect(await switching(move, direction)).toMatchObject({ kind: 'switched' });
      for (const sequence of [...CALLED, ...UNCALLED]) {
        expect(await refusalOf(draw(sessions[from], sequence)), `${sequence} in an old session`).toBe(AT_ITS_END);
        const another = await connect(pair[from].url(name));
        expect(await refusalOf(draw(another, sequence)), `${sequence} in a new session`).toBe(AT_ITS_END);
        await another.end();
      }
      for (const sequence of CALLED) {
        await take(sessions[to], sequence);
        await take(sessions[to], sequence);
      }
    }
    for (const sequence of UNCALLED) {
      await take(sessions.source, sequence);
      await take(sessions.source, sequence);
    }
    await switching(move, 'forward');
    for (const sequence of UNCALLED) await take(sessions.target, sequence);
    await Promise.all([sessions.source.end(), sessions.target.end()]);
  });

  test('under load, by sessions that never stop asking both sides', async () => {
    const name = fresh('asked_for_ever');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    const ids = { source: new Set<string>(), target: new Set<string>() };
    let stopping = false;
    const ask = async (side: 'source' | 'target', sequence: string): Promise<void> => {
      const client = await connect(pair[side].url(name));
      while (!stopping) {
        const id = await draw(client, sequence).catch(() => null);
        if (id !== null) ids[side].add(`${sequence} ${id}`);
        await sleep(5);
      }
      await client.end();
    };
    const asked = ['unowned', 'cached', 'descending', 'plain_id_seq'];
    const asking = asked.map((sequence) => underway(ask('source', sequence)));
    try {
      await expect.poll(() => ids.source.size).toBeGreaterThan(50);
      expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
      asking.push(...asked.map((sequence) => underway(ask('target', sequence))));
      for (const direction of ['back', 'forward', 'back'] as const) {
        const side = direction === 'back' ? 'target' : 'source';
        const before = ids[side].size;
        await expect.poll(() => ids[side].size).toBeGreaterThan(before + 20);
        expect(await switching(move, direction)).toMatchObject({ kind: 'switched' });
      }
    } finally {
      stopping = true;
    }
    await Promise.all(asking);
    expect([...ids.source].filter((id) => ids.target.has(id))).toEqual([]);
  });

  test('rows that take their id by default are all there, with an id of their own', async () => {
    const name = fresh('by_default');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    for (const [server, direction] of [
      [pair.source, 'forward'],
      [pair.target, 'back'],
      [pair.source, 'forward'],
    ] as const) {
      await server.query(`insert into plain (note) select 'x' from generate_series(1, 40)`, [], name);
      await server.query(`insert into tagged (note) select 'x' from generate_series(1, 40)`, [], name);
      expect(await switching(move, direction)).toMatchObject({ kind: 'switched' });
    }
    await pair.target.query(
      `insert into plain (note) values ('last'); insert into tagged (note) values ('last')`,
      [],
      name,
    );
    expect(
      await pair.target.query(
        'select (select count(*)::int from plain), (select count(*)::int from tagged) as tagged',
        [],
        name,
      ),
    ).toEqual([{ count: 121, tagged: 121 }]);
    expect(await pair.target.query('select from tagged where id % 5 <> 0', [], name)).toEqual([]);
  });
});

describe('the limits of sequences', () => {
  test('are on the source as before after the way back, and on the target after the undo of the fence', async () => {
    const name = fresh('limits');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    await pair.source.query(`insert into plain (note) values ('x'); select nextval('tens'), nextval('tiny')`, [], name);
    const before = { source: await limitsOf(pair.source, name), target: await limitsOf(pair.target, name) };
    await switching(move, 'forward');
    expect(await limitsOf(pair.source, name)).not.toEqual(before.source);
    expect(await limitsOf(pair.target, name)).toEqual(before.target);
    await switching(move, 'back');
    expect(await limitsOf(pair.source, name)).toEqual(before.source);
    await undoFence(move);
    expect(await limitsOf(pair.target, name)).toEqual(before.target);
  });

  test('of a sequence near its end: what is left of it is left to the new side', async () => {
    const name = fresh('near_end');
    const move = await replicatedMove(
      pair,
      name,
      `create table account (id int primary key);
       create sequence near_end maxvalue 100 start with 95;
       create sequence at_end maxvalue 3;
       create sequence near_bottom increment by -1 minvalue -10 start with -8`,
    );
    await pair.source.query(
      `select nextval('near_end'), nextval('near_bottom'), nextval('at_end'), nextval('at_end'), nextval('at_end')`,
      [],
      name,
    );
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
    const client = await connect(pair.target.url(name));
    expect(await draw(client, 'near_end')).toBe(96n);
    expect(await draw(client, 'near_bottom')).toBe(-9n);
    expect(await refusalOf(draw(client, 'at_end'))).toBe(AT_ITS_END);
    for (let left = 4; left > 0; left -= 1) await draw(client, 'near_end');
    expect(await refusalOf(draw(client, 'near_end'))).toBe(AT_ITS_END);
    expect(await switching(move, 'back')).toMatchObject({ kind: 'switched' });
    await client.end();
    expect(await refusalOf(pair.source.query(`select nextval('near_end')`, [], name))).toBe(AT_ITS_END);
    await pair.source.query('alter sequence near_end maxvalue 200', [], name);
    expect(await pair.source.query(`select nextval('near_end')::int`, [], name)).toEqual([{ nextval: 101 }]);
  });

  test('of CYCLE sequences come back, and a ceded one does not begin again', async () => {
    const name = fresh('cycle');
    const move = await replicatedMove(
      pair,
      name,
      'create table account (id int primary key); create sequence wheel maxvalue 1000 cycle',
    );
    await pair.source.query(`select nextval('wheel')`, [], name);
    const before = await limitsOf(pair.source, name);
    await switching(move, 'forward');
    expect(await refusalOf(pair.source.query(`select nextval('wheel')`, [], name))).toBe(AT_ITS_END);
    await switching(move, 'back');
    expect(await limitsOf(pair.source, name)).toEqual(before);
  });

  test("of tables out of scope are nobody's business", async () => {
    const name = fresh('out_of_scope');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    await switching(move, 'forward');
    await pair.source.query(`insert into aside (note) values ('still here')`, [], name);
  });
});

describe('an attempt that does not cede', () => {
  test('as a rehearsal leaves no trace on either side, neither at first nor after the writes have been away and back', async () => {
    const name = fresh('rehearsed');
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    await pair.source.query(`insert into plain (note) values ('x')`, [], name);
    const look = async () => ({
      source: [await catalogOf(pair.source, name), await limitsOf(pair.source, name)],
      target: [await catalogOf(pair.target, name), await limitsOf(pair.target, name)],
    });
    let before = await look();
    expect(await switching(move, 'forward', 'rehearse')).toMatchObject({ kind: 'rehearsed' });
    expect(await look()).toEqual(before);
    await switching(move, 'forward');
    await switching(move, 'back');
    before = await look();
    expect(await switching(move, 'forward', 'rehearse')).toMatchObject({ kind: 'rehearsed' });
    const after = await look();
    expect(after.source).toEqual(before.source);
    expect(after.target[0]).toEqual(before.target[0]);
    // The target has ceded once; it hands out nothing now as before.
    for (const sequence of [...CALLED, ...UNCALLED]) {
      expect(await refusalOf(pair.target.query('select nextval($1)', [`public.${sequence}`], name))).toBe(AT_ITS_END);
    }
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
    await pair.target.query(`insert into plain (note) values ('y'); insert into tagged (note) values ('y')`, [], name);
  });

  test.each([
    ['went past what was promised', `select nextval('unowned') from generate_series(1, 40)`],
    ['was called for the first time', `select nextval('never_called')`],
    ['ran to its end', `select setval('tiny', 32767)`],
  ])('because a sequence %s meanwhile says not-now, and the source hands out ids as before', async (what, moved) => {
    const name = fresh(`moved_${what.split(' ')[0]}`);
    const move = await replicatedMove(pair, name, TABLES, SCOPE);
    await pair.source.query(`select nextval('unowned'), nextval('tiny')`, [], name);
    const before = await limitsOf(pair.source, name);
    injectFaults(async (point) => {
      if (point === 'switch.ready') await pair.source.query(moved, [], name);
    });
    expect(await switching(move, 'forward')).toMatchObject({
      kind: 'not-now',
      reason: expect.stringContaining('moved on') as string,
    });
    injectFaults(null);
    expect(await limitsOf(pair.source, name)).toEqual(before);
    await pair.source.query(`insert into plain (note) values ('x'); select nextval('unowned')`, [], name);
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
  });
});
