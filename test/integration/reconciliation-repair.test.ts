/** Findings are mended row by row, on record, and the record takes them back. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { keptCertificate } from '../../activities/reconciliation/kept-certificate.js';
import { dryRun } from '../../activities/reconciliation/repair.js';
import { markdownReport, runReport } from '../../activities/reconciliation/report/index.js';
import { decideReview, listReview, showReview } from '../../activities/reconciliation/review.js';
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
afterEach(() => injectFaults(null));

const SCHEMA = `
  create table customer (id bigint primary key, email text not null unique, balance numeric(12,2) not null, doubled numeric generated always as (balance * 2) stored);
  create table purchase (id bigint generated always as identity primary key, customer bigint not null references customer, note text);
  create table setting (name text primary key, value jsonb)`;
const ROWS = `
  insert into customer (id, email, balance) select i, 'c' || i || '@example.org', i / 7.0 from generate_series(1, 1000) i;
  insert into purchase (customer, note) select 1 + i % 900, 'note ' || i from generate_series(1, 3000) i;
  insert into setting select 'key ' || i, jsonb_build_object('n', i) from generate_series(1, 100) i`;
/** Customers, one with all purchases, changes, and rows too many. */
const INJECTED = `
  set session_replication_role = replica;
  delete from purchase where customer = 18 or id = 18;
  insert into purchase (id, customer, note) overriding system value values (5000, 1, 'nobody bought this');
  insert into customer (id, email, balance) values (2000, 'nobody', 1);
  delete from customer where id in (18, 950);
  update customer set balance = balance + 0.01 where id between 21 and 25;
  update setting set value = '{"n": "x"}' where name = 'key 7'`;

async function shop(name: string): Promise<Reconciled> {
  return Reconciled.start(pair, fresh(name), { schema: SCHEMA, rows: ROWS });
}

const repairsAll = { limits: { statementTimeout: '30s' } };

describe('a repair', () => {
  test('adds before it changes before it deletes, in the order of foreign keys, and is taken back', async () => {
    const world = await shop('mended');
    await world.on('target', INJECTED);
    const normal = world.normal(repairsAll);
    const found = await world.run(normal);
    expect(found).toMatchObject({ verdict: 'different' });
    const before = await world.found(found.run);

    const planned = [];
    for await (const { statement, side } of dryRun({
      repair: 'none',
      run: found.run,
      normal,
      what: 'all',
      deletions: true,
      by: null,
    }))
      planned.push(`${side}: ${statement}`);
    expect(planned).toHaveLength(found.remaining);
    expect(planned[0]).toBe(
      `target: INSERT INTO "public"."customer" ("id", "email", "balance") VALUES ('18', 'c18@example.org', '2.57');`,
    );
    expect(planned.at(-1)).toBe(`target: DELETE FROM "public"."customer" WHERE "id" = '2000';`);

    const mended = await world.repair(normal, found.run);
    expect(mended).toMatchObject({ outcome: 'done', inserted: 7, updated: 6, deleted: 2, refused: 0, unneeded: 0 });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
    // its answer was lost
    expect(await world.repair(normal, found.run, { repair: mended.repair })).toEqual(mended);

    expect(await world.undo(normal, mended.repair)).toMatchObject({
      outcome: 'undone',
      inserted: 7,
      updated: 6,
      deleted: 2,
      refused: 0,
    });
    const again = await world.run(normal);
    expect(await world.found(again.run)).toEqual(before);
    expect(await world.undo(normal, mended.repair)).toMatchObject({ outcome: 'undone', refused: 0 });
  });

  test('without deletions leaves rows too many to the review queue', async () => {
    const world = await shop('kept');
    await world.on('target', INJECTED);
    const normal = world.normal();
    const found = await world.run(normal);
    expect(await world.repair(normal, found.run, { deletions: false })).toMatchObject({
      deleted: 0,
      inserted: 7,
      updated: 6,
    });
    const left = await listReview(normal);
    expect(left.map(({ table, kind, key }) => `${table} ${kind} ${key.join(',')}`).sort()).toEqual([
      'customer extra 2000',
      'purchase extra 5000',
    ]);
  });

  test('whose truth is the standby changes the primary, and replication goes on', async () => {
    const world = await shop('adopted');
    await world.on('target', INJECTED);
    const normal = world.normal({
      repair: { rules: [{ tables: ['*.*'], kinds: ['missing', 'extra', 'changed'], action: 'ask', truth: 'target' }] },
    });
    const found = await world.run(normal);
    const mended = await world.repair(normal, found.run);
    expect(mended).toMatchObject({ inserted: 2, updated: 6, deleted: 7, refused: 0 });
    await world.on('source', `insert into setting values ('later', 'true')`);
    await until(
      async () => (await world.on('target', `select from setting where name = 'later'`)).length === 1,
      'replication goes on',
    );
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
    expect(await world.on('source', `select from customer where id = 2000`)).toHaveLength(1);

    expect(await world.undo(normal, mended.repair)).toMatchObject({ outcome: 'undone' });
    expect(await world.refused()).toEqual([]);
    expect(await world.on('source', `select from customer where id = 2000`)).toHaveLength(0);
    expect(await world.on('target', `select from customer where id = 2000`)).toHaveLength(1);
    expect(await world.on('source', `select from customer where id = 950`)).toHaveLength(1);
  });

  test('is taken back on the standby only once what was taken back on the primary has arrived', async () => {
    const world = await Reconciled.start(pair, fresh('overtaken'), {
      schema: 'create table thing (id bigint primary key); create table stuck (id bigint primary key)',
      rows: 'insert into thing select generate_series(1, 10)',
    });
    await world.on('target', 'insert into thing values (11)');
    const normal = world.normal({
      tables: { include: ['public.thing'] },
      repair: { rules: [{ tables: ['*.*'], kinds: ['extra'], action: 'ask', truth: 'target' }] },
    });
    const found = await world.run(normal);
    const mended = await world.repair(normal, found.run);
    expect(mended).toMatchObject({ inserted: 1 });
    const onTarget = (): Promise<unknown[]> => world.on('target', 'select from thing where id = 11');
    await until(async () => (await onTarget()).length === 1, 'replication brings the row back');

    const holder = await connect(pair.target.url(world.name));
    try {
      await holder.query('begin; lock table stuck in share mode');
      await world.on('source', 'insert into stuck values (1)');
      for (const attempt of ['the first', 'one that finds the primary as it was']) {
        await expect(world.undo(normal, mended.repair, 200), attempt).rejects.toThrow(/did not arrive on the target/);
      }
    } finally {
      await holder.end();
    }
    expect(await world.undo(normal, mended.repair)).toMatchObject({ outcome: 'undone', inserted: 1, refused: 0 });
    expect(await world.on('source', 'select from thing where id = 11')).toHaveLength(0);
    await until(
      async () => (await world.on('target', 'select from stuck')).length === 1,
      'all that was undone has arrived',
    );
    expect(await onTarget()).toHaveLength(1);
  });

  test('refuses rows that changed since, that a constraint or a trigger won’t have, and mends the others', async () => {
    const world = await shop('refused');
    await world.on('target', INJECTED);
    const normal = world.normal();
    const found = await world.run(normal);
    await world.on(
      'target',
      `update customer set balance = 999 where id = 21;
       create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
       create trigger refuse before update on customer for each row when (old.id = 22) execute function refuse();
       create function bend() returns trigger language plpgsql as $$ begin new.balance := new.balance + 1; return new; end $$;
       create trigger bend before update on customer for each row when (old.id = 23) execute function bend();
       update customer set email = 'c18@example.org' where id = 500`,
    );
    const mended = await world.repair(normal, found.run);
    expect(mended).toMatchObject({ inserted: 2, updated: 3, deleted: 2, refused: 8 });
    const refused = await world.on<{ line: string }>(
      'target',
      `select concat_ws(' ', table_name, key[1], why) as line from godwit.reconciliation_audit where state = 'refused' order by 1`,
    );
    expect(refused.map(({ line }) => line)).toEqual([
      'customer 18 could not run a statement on the target: duplicate key value violates unique constraint "customer_email_key" (SQLSTATE 23505)',
      'customer 21 it changed since it was found',
      expect.stringMatching(/^customer 22 .*not this one/),
      'customer 23 a trigger or a default made another row of it',
      ...Array<unknown>(4).fill(expect.stringMatching(/^purchase .* violates foreign key constraint/)),
    ]);
  });

  test('under live writes mends exactly what is wrong', async () => {
    const world = await shop('live');
    await world.on('target', INJECTED);
    const normal = world.normal({ repair: { batch: 2 } });
    let go = true;
    const write = async (): Promise<void> => {
      for (let i = 0; go; i += 1) {
        await world.on(
          'source',
          `update customer set balance = balance + 1 where id between 15 and 30 and id % 3 = $1`,
          [i % 3],
        );
        await world.on('source', `update purchase set note = note || '.' where id % 100 = $1`, [i % 100]);
      }
    };
    const writing = underway(write());
    try {
      const found = await world.run(normal);
      // what the writers write anew, replication has mended
      expect(found.remaining).toBeGreaterThanOrEqual(10);
      const mended = await world.repair(normal, found.run);
      const { inserted, updated, deleted, unneeded, refused } = mended;
      expect(inserted + updated + deleted + unneeded + refused).toBe(found.remaining);
      expect({ inserted, deleted }).toEqual({ inserted: 7, deleted: 2 });
    } finally {
      go = false;
      await writing;
    }
    const rest = await world.run(normal);
    await world.repair(normal, rest.run);
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
  });

  test.each([
    ['source', 'audit'],
    ['source', 'standby'],
    ['source', 'primary'],
    ['target', 'audit'],
    ['target', 'standby'],
    ['target', 'primary'],
  ] as const)('where the %s is right, killed after %s, is completed by the next attempt', async (truth, point) => {
    const world = await shop(`killed_${truth}_${point}`);
    await world.on('target', INJECTED);
    const kinds = ['missing', 'extra', 'changed'];
    const normal = world.normal({ repair: { batch: 3, rules: [{ tables: ['*.*'], kinds, action: 'ask', truth }] } });
    const found = await world.run(normal);
    const repair = randomUUID();
    for (let times = 1; times <= 3; times += 1) {
      let reached = 0;
      injectFaults((at) => {
        reached += at === `repair.${point}` ? 1 : 0;
        if (reached === times) throw new Error(`killed after ${point}`);
      });
      await expect(world.repair(normal, found.run, { repair })).rejects.toThrow('killed');
    }
    injectFaults(null);
    expect(await world.repair(normal, found.run, { repair })).toMatchObject({ updated: 6, refused: 0, unneeded: 0 });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
    expect(await world.undo(normal, repair)).toMatchObject({ updated: 6 });
    expect(await world.refused()).toEqual([]);
  });

  test('of a range of keys replays what replication has missed there, and leaves all else as it was known', async () => {
    const world = await shop('range');
    await world.on('target', INJECTED);
    const normal = world.normal();
    await world.run(normal);
    const waiting = (await listReview(normal)).length;
    const range = world.normal({
      tables: { include: ['public.customer'], rowFilters: { 'public.customer': 'id between 20 and 23' } },
    });
    const found = await world.run(range, { partial: true });
    expect(await world.found(found.run)).toEqual([
      'customer changed 21 (balance,doubled)',
      'customer changed 22 (balance,doubled)',
      'customer changed 23 (balance,doubled)',
    ]);
    expect(await listReview(normal)).toHaveLength(waiting);
    expect(await world.repair(normal, found.run)).toMatchObject({ updated: 3, inserted: 0, deleted: 0 });
    expect(await listReview(normal)).toHaveLength(waiting - 3);
    expect(await world.run(range, { partial: true })).toMatchObject({ verdict: 'equal' });
  });

  test('people decide what waits, with both versions before them', async () => {
    const world = await shop('reviewed');
    await world.on('target', INJECTED);
    const normal = world.normal({ columns: { 'public.customer': { mask: ['email'] } } });
    const found = await world.run(normal);
    expect(found.queued).toBe(15);
    const items = await listReview(normal);
    const one = items.find(({ key, kind }) => kind === 'changed' && key[0] === '21');
    const shown = await showReview(normal, one?.id ?? '');
    expect(shown).toMatchObject({
      source: { id: '21', balance: '3.00', email: '***' },
      target: { id: '21', balance: '3.01', email: '***' },
    });
    const two = items.find(({ key, kind }) => kind === 'changed' && key[0] === '22');
    expect(await decideReview(normal, [one?.id ?? ''], 'repair', 'ada', 'looks right')).toBe(1);
    expect(await decideReview(normal, [two?.id ?? ''], 'accept', 'ada', 'known')).toBe(1);
    await expect(decideReview(normal, ['0', items[0]?.id ?? ''], 'accept', 'ada', null)).rejects.toThrow(
      /has no item 0/,
    );
    expect(await world.repair(normal, found.run, { what: 'review' })).toMatchObject({
      updated: 1,
      inserted: 0,
      deleted: 0,
    });
    const again = await world.run(normal);
    expect(again).toMatchObject({ verdict: 'different', remaining: 13, accepted: 1, queued: 13 });
    expect(
      (await listReview(normal, { states: ['accepted', 'repaired'] }))
        .map(({ state, key }) => `${state} ${key[0]}`)
        .sort(),
    ).toEqual(['accepted 22', 'repaired 21']);
  });

  test('what was accepted stays told apart while both sides stay, at every level and by every rule', async () => {
    const world = await shop('accepted');
    await world.on(
      'target',
      `set session_replication_role = replica;
       delete from customer where id = 950; update customer set balance = 0 where id in (21, 22)`,
    );
    const asks = world.normal();
    const mends = world.normal({
      repair: { rules: [{ tables: ['*.*'], kinds: ['missing', 'changed'], action: 'repair' }] },
    });
    const first = await world.run(asks);
    expect(first).toMatchObject({ verdict: 'different', remaining: 3, accepted: 0, queued: 3 });
    const decided = (await listReview(asks)).filter(({ key }) => key[0] !== '21').map(({ id }) => id);
    await decideReview(asks, decided, 'accept', 'ada', 'as agreed');
    // of the run that found it, at once
    const report = await runReport(asks, first.run, { keys: 10 });
    expect(report.summary).toMatchObject({ verdict: 'different', remaining: 1, accepted: 2 });
    expect(report.keys?.map(({ state, key }) => `${key.join()} ${state}`).sort()).toEqual([
      '21 confirmed',
      '22 accepted',
      '950 accepted',
    ]);
    expect(markdownReport(report)).toMatch(/\| changed \| both \| 1 \| accepted \|/);

    // the rules may mend by themselves by now, and what was accepted is nobody's to mend, in old runs either
    const second = await world.run(mends);
    expect(second).toMatchObject({ verdict: 'different', remaining: 1, accepted: 2 });
    expect(await world.repair(mends, second.run, { what: 'policy' })).toMatchObject({ updated: 1, inserted: 0 });
    expect(await world.repair(mends, first.run)).toMatchObject({ updated: 0, inserted: 0, unneeded: 1 });
    const quick = await world.run(mends, { level: 'quick' });
    expect(quick).toMatchObject({ remaining: 0 });
    expect(quick.found.map(({ kind }) => kind)).toContain('missing');
    const quiet = await world.run(mends);
    expect(quiet).toMatchObject({ verdict: 'different', remaining: 0, accepted: 2, queued: 0 });
    expect((await keptCertificate(mends, quiet.run)).found.reduce((sum, { count }) => sum + count, 0)).toBe(2);

    // either side of it changes
    await world.on('source', 'update customer set balance = 7 where id = 22');
    await until(
      async () => (await world.on('target', 'select from customer where id = 22 and balance = 7')).length === 1,
      'replication brings it',
    );
    await world.on('target', 'update customer set balance = 8 where id = 22');
    expect(await world.run(asks)).toMatchObject({ remaining: 1, accepted: 1, queued: 1 });
    await world.on('source', 'update customer set balance = 9 where id = 950');
    expect(await world.run(asks)).toMatchObject({ remaining: 2, accepted: 0, queued: 2 });
  });
});
