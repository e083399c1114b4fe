/** What a run need not read: rows that nobody touched, rows out of a sample, and, at the quick level, rows at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropStreams } from '../../activities/reconciliation/streams.js';
import { underway } from '../support/underway.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';
import { until } from '../support/sync.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

const SCHEMA = `
  create table account (id bigint primary key, owner text not null, changed_at timestamptz not null default now());
  create index on account (changed_at);
  create table note (code text primary key, body text, changed_at timestamptz not null default now())`;
const ROWS = `
  insert into account select i, 'owner ' || i from generate_series(1, 30000) i;
  insert into note select 'note ' || i, repeat('x', i % 50) from generate_series(1, 2000) i`;

async function bank(name: string): Promise<Reconciled> {
  return Reconciled.start(pair, fresh(name), { schema: SCHEMA, rows: ROWS });
}

async function arrived(world: Reconciled): Promise<void> {
  await world.on('source', `insert into note values ('marker ' || clock_timestamp(), '')`);
  const [sent] = await world.on<{ count: number }>('source', 'select count(*)::int as count from note');
  await until(async () => {
    const [seen] = await world.on<{ count: number }>('target', 'select count(*)::int as count from note');
    return seen?.count === sent?.count;
  }, 'the standby has caught up');
}

describe('an incremental run', () => {
  test('by change streams reads the rows that either side touched, and finds what was changed and deleted behind replication’s back', async () => {
    const world = await bank('streams');
    const normal = world.normal({ incremental: { by: 'changes' } });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false, rows: 32_000 });
    await world.on(
      'source',
      `update account set owner = 'new' where id between 100 and 149; delete from note where code = 'note 7'`,
    );
    await arrived(world);
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: true, rows: 52 });
    await world.on(
      'target',
      `update account set owner = 'corrupt' where id = 20000; delete from note where code = 'note 1999'`,
    );
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 2 });
    expect(await world.found(found.run)).toEqual(['account changed 20000 (owner)', 'note missing note 1999']);
    // nobody has mended it, and nobody touched it since
    const again = await world.run(normal);
    expect(again).toMatchObject({ verdict: 'different', incremental: true, remaining: 2 });
    await world.repair(normal, again.run);
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: true });
    expect(await world.run(normal, { full: true })).toMatchObject({
      verdict: 'equal',
      incremental: false,
      rows: 32_000,
    });
    await dropStreams(normal);
    for (const side of ['source', 'target'] as const) {
      expect(
        await world.on(
          side,
          `select from pg_replication_slots where slot_name like 'godwit_reconcile%' and database = current_database()`,
        ),
      ).toEqual([]);
    }
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
    await dropStreams(normal);
  });

  test('by xmin finds what was changed on either side', async () => {
    const world = await bank('xmin');
    const normal = world.normal({ incremental: { by: 'xmin' } });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
    await world.on('source', `update account set owner = 'new' where id between 100 and 149`);
    await world.on('target', `update account set owner = 'corrupt' where id = 20000`);
    await arrived(world);
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 52 });
    expect(await world.found(found.run)).toEqual(['account changed 20000 (owner)']);
  });

  test('by xmin looks in parts of a snapshot where one statement would take too long', async () => {
    const schema = `
      create function slow(bigint) returns boolean language plpgsql as $$ begin perform pg_sleep(0.005); return true; end $$;
      create table wide (id bigint primary key, body text)`;
    const rows = `insert into wide select i, repeat('x', 1000) from generate_series(1, 300) i`;
    const world = await Reconciled.start(pair, fresh('xmin_slow'), { schema, rows });
    const normal = world.normal({
      incremental: { by: 'xmin' },
      tables: { include: ['public.wide'], rowFilters: { 'public.wide': 'public.slow(id)' } },
    });
    // all rows take 1.5 s
    normal.limits.statementTimeout = 750;
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false, rows: 300 });
    await world.on('source', `update wide set body = repeat('y', 1000)`);
    await until(
      async () => (await world.on('target', `select from wide where body like 'y%'`)).length === 300,
      'the standby has caught up',
    );
    await world.on('target', `update wide set body = 'corrupt' where id = 200`);
    await world.on('target', `delete from wide where id = 7`);
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 300 });
    expect(await world.found(found.run)).toEqual(['wide changed 200 (body)', 'wide missing 7']);
  });

  test('by xmin finds what a transaction wrote that was open at the last run, however many have begun since', async () => {
    const world = await bank('xmin_open');
    const normal = world.normal({ incremental: { by: 'xmin' } });
    const open = await connect(pair.target.url(world.name));
    const later = await connect(pair.target.url(world.name));
    try {
      await open.query(`begin; update account set owner = 'corrupt' where id = 20000`);
      expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
      // neither over nor seen by anybody, and yet counted when ages are
      await later.query('begin; select txid_current()');
      await open.query('commit');
      const found = await world.run(normal);
      expect(found).toMatchObject({ verdict: 'different', incremental: true });
      expect(await world.found(found.run)).toEqual(['account changed 20000 (owner)']);
    } finally {
      await Promise.all([open.end(), later.end()]);
    }
  });

  test('by changes reads all where the stream was made anew, also when the run that made it has failed', async () => {
    const world = await bank('anew');
    const normal = world.normal({ incremental: { by: 'changes' } });
    await world.run(normal);
    await world.on('target', `update account set owner = 'corrupt' where id = 20000`);
    await dropStreams(normal);
    const stop = new AbortController();
    const slow = world.normal({ incremental: { by: 'changes' }, limits: { rowsPerSecond: 1_000 } });
    const made = underway(world.run(slow, { signal: stop.signal }));
    await until(async () => {
      const slots = await world.on(
        'target',
        `select from pg_replication_slots s join godwit.reconciliation_piece p on p.figures is null
         where slot_name like 'godwit_reconcile%' and database = current_database()`,
      );
      return slots.length > 0;
    }, 'the stream is there again, and rows are compared');
    stop.abort();
    await expect(made).rejects.toThrow();
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: false });
    expect(await world.found(found.run)).toEqual(['account changed 20000 (owner)']);
    await dropStreams(normal);
  });

  test('compares a table whole again that differed in too many rows to look at all of them', async () => {
    const world = await Reconciled.start(pair, fresh('too_many'), {
      schema: 'create table account (id bigint primary key); create table note (id bigint primary key)',
      rows: 'insert into note select generate_series(1, 100)',
      replicated: false,
    });
    const normal = world.normal({ incremental: { by: 'xmin' }, replication: { none: true } });
    await world.on('source', 'insert into account select generate_series(1, 100500); analyze account');
    const first = await world.run(normal);
    expect(first).toMatchObject({ verdict: 'different', incremental: false });
    expect(first.remaining).toBeGreaterThanOrEqual(100_000);
    expect(first.remaining).toBeLessThan(100_500);
    await world.on('target', 'insert into account select generate_series(1, 100500) on conflict do nothing');
    const second = await world.run(normal);
    expect(second).toMatchObject({ verdict: 'equal' });
    const [stored] = await world.on<{ tables: { name: string; how: string; rows: number }[] }>(
      'target',
      'select tables from godwit.reconciliation_run where run = $1',
      [second.run],
    );
    expect(stored?.tables.map(({ name, how, rows }) => `${name} ${how} ${rows}`)).toEqual([
      'account all 100500',
      'note touched 0',
    ]);
  });

  test('by a column reads the rows that it says were changed, and those of tables without it as a whole', async () => {
    const world = await bank('column');
    const normal = world.normal({ incremental: { by: 'column', column: 'changed_at' } });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
    await world.on(
      'source',
      `update account set owner = 'new', changed_at = clock_timestamp() where id between 100 and 149`,
    );
    await arrived(world);
    await world.on('target', `update account set owner = 'lost' where id = 120`);
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 51 });
    expect(await world.found(found.run)).toEqual(['account changed 120 (owner)']);
  });

  test('by a column finds each of many rows that differ among many that were changed', async () => {
    const world = await bank('column_many');
    const normal = world.normal({ incremental: { by: 'column', column: 'changed_at' } });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', incremental: false });
    await world.on('source', `update account set changed_at = clock_timestamp()`);
    await arrived(world);
    await world.on('target', `update account set owner = 'lost' where id % 60 = 7`);
    await world.on('target', 'delete from account where id % 600 = 8');
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different', incremental: true, rows: 30_000 + 1 });
    const wanted = Array.from({ length: 30_000 }, (_, index) => index + 1).flatMap((id) =>
      id % 60 === 7 ? [`account changed ${id} (owner)`] : id % 600 === 8 ? [`account missing ${id}`] : [],
    );
    expect((await world.found(found.run)).sort()).toEqual(wanted.sort());
  });
});

describe('a sample', () => {
  test.each(['random', 'systematic'] as const)(
    '%s reads a share of the rows, the same ones again, and says what that proves',
    async (method) => {
      const world = await bank(`sample_${method}`);
      const normal = world.normal({ sample: { share: '5%', method, seed: 3, tables: ['public.account'] } });
      const equal = await world.run(normal);
      expect(equal.verdict).toBe('equal');
      const [tables] = await world.on<{ tables: { name: string; how: string; rows: number; note: string }[] }>(
        'target',
        'select tables from godwit.reconciliation_run where run = $1',
        [equal.run],
      );
      const account = tables?.tables.find(({ name }) => name === 'account');
      expect(account).toMatchObject({ how: 'sample' });
      expect(account?.rows).toBeGreaterThan(1_000);
      expect(account?.rows).toBeLessThan(2_200);
      expect(account?.note).toMatch(
        method === 'random'
          ? /^0 of 1,\d{3} sampled rows differ: at 95 % confidence fewer than 0\.\d+ % do$/
          : /^0 of \d+ sampled leaves differ: at 95 % confidence fewer than \d+(\.\d+)? % hold a row that differs$/,
      );
      expect((await world.run(normal)).rows).toBe(equal.rows);
      await world.on('target', `update account set owner = 'corrupt' where id % 10 = 0`);
      const found = await world.run(normal);
      expect(found.verdict).toBe('different');
      expect(found.remaining).toBeGreaterThan(80);
      expect(found.remaining).toBeLessThan(250);
    },
  );
});

describe('a quick run', () => {
  test('counts, looks at the newest rows, and compares keys where the counts don’t fit', async () => {
    const world = await bank('quick');
    expect(await world.run(world.normal(), { level: 'quick' })).toMatchObject({ verdict: 'equal', level: 'quick' });
    await world.on(
      'target',
      `delete from note where code = 'note 5'; update account set owner = 'corrupt' where id = 29990; alter table note add column extra text`,
    );
    const found = await world.run(world.normal(), { level: 'quick' });
    expect(found.verdict).toBe('different');
    expect(await world.found(found.run)).toEqual(expect.arrayContaining(['account changed 29990 (owner)']));
  });
});
