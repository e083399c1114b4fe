/** A migration's rules of the user's own, on real servers: before the switch, after it, and as preflight sees them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { checkRules, checkRulesUntil } from '../../activities/reconciliation/rules.js';
import type { NormalDatabase } from '../../spec/normal.js';
import type { BusinessRule } from '../../spec/reconciliation.js';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { find } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { follow, replicated, type Replicated } from '../support/replicated.js';
import { until } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

const BOTH = ['source', 'target'] as const;

const none = (
  name: string,
  sql: string,
  more: Partial<Extract<BusinessRule, { kind: 'no-rows' }>> = {},
): BusinessRule => ({
  kind: 'no-rows',
  name,
  sql,
  on: [...BOTH],
  severity: null,
  ...more,
});

const ORDERS = `create table orders (id int primary key, name text, paid numeric, total numeric);
  insert into orders select n, 'ada-' || n, n, n from generate_series(1, 100) n`;

const UNPAID = none('paid-in-full', 'select id from orders where paid < total');
const TOTAL: BusinessRule = {
  kind: 'same',
  name: 'turnover',
  sql: { source: 'select sum(total) from orders', target: 'select sum(total) from orders' },
  tolerance: 0,
  severity: 'critical',
};

function withRules(rules: BusinessRule[], more: Partial<NormalDatabase['validation']> = {}): Partial<NormalDatabase> {
  const validation = { parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: [] };
  return { validation: { ...validation, rules, ruleTimeout: 30_000, ignoreRules: [], ...more } };
}

const scene = (rules: BusinessRule[], more: Partial<NormalDatabase['validation']> = {}): Promise<Replicated> =>
  replicated(pair, fresh('rules'), ORDERS, { change: withRules(rules, more) });

/** As the switch leaves it. */
async function switched(shop: Replicated): Promise<void> {
  const { move, source, target } = shop;
  await shop.caughtUp();
  await target.run(`drop subscription ${scopeNames(move.key).slot('source')}`);
  await source.run(`update godwit.authority set state = 'closed'`);
  await target.run(`update godwit.authority set state = 'open', epoch = 9`);
  await follow(pair, move, target, source);
}

describe('rules of a migration', () => {
  test('hold on both sides, as the source takes the writes, at a position of it', async () => {
    const shop = await scene([UNPAID, TOTAL]);
    expect(await checkRules(shop.move)).toMatchObject({
      asked: 2,
      held: 2,
      broken: [],
      noted: [],
      notAsked: [],
      primary: 'source',
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) as string,
    });
    await shop.close();
  });

  test('that are broken are named with their side and their number, and no row of them', async () => {
    const shop = await scene([UNPAID, { ...UNPAID, name: 'hint', severity: 'low' }, TOTAL]);
    await shop.source.run('update orders set paid = 0 where id <= 3');
    const summary = await checkRules(shop.move);
    expect(summary).toMatchObject({
      asked: 3,
      held: 1,
      broken: [
        'rule paid-in-full: 3 rows on the source, where none should be (high)',
        'rule paid-in-full: 3 rows on the target, where none should be (high)',
      ],
      noted: [
        'rule hint: 3 rows on the source, where none should be (low)',
        'rule hint: 3 rows on the target, where none should be (low)',
      ],
    });
    expect(JSON.stringify(summary)).not.toContain('ada');
    await shop.source.run('update orders set paid = total');
    expect(await checkRules(shop.move)).toMatchObject({ asked: 3, held: 3, broken: [], noted: [] });
    await shop.close();
  });

  test('are asked the other way round once the target takes the writes', async () => {
    const shop = await scene([UNPAID, TOTAL]);
    await switched(shop);
    expect(await checkRules(shop.move)).toMatchObject({ held: 2, primary: 'target' });
    await shop.target.run('update orders set paid = 0 where id = 7');
    expect(await checkRules(shop.move)).toMatchObject({
      held: 1,
      primary: 'target',
      broken: [
        'rule paid-in-full: 1 row on the source, where none should be (high)',
        'rule paid-in-full: 1 row on the target, where none should be (high)',
      ],
    });
    await shop.source.run('update orders set total = 0 where id = 7');
    expect((await checkRules(shop.move)).broken).toContainEqual(
      'rule turnover: 1 rows of 1 differ, the first is row 1 in column sum (critical)',
    );
    await shop.close();
  });

  test('that take too long, or may not be asked, prove nothing, and say why; those left out are named', async () => {
    const shop = await scene(
      [
        none('slow', 'select pg_sleep(20)', { on: ['target'] }),
        none('gone', 'select from basket', { on: ['source'] }),
        none('left-out', 'select 1'),
        UNPAID,
      ],
      { ruleTimeout: 4_000, ignoreRules: ['left-out'] },
    );
    expect(await checkRules(shop.move)).toMatchObject({
      asked: 3,
      held: 1,
      broken: [],
      notAsked: [
        'rule slow on the target: a statement did not finish within validation.ruleTimeout (4 s), or was cancelled',
        'rule gone on the source: relation "basket" does not exist (SQLSTATE 42P01)',
      ],
      ignored: ['left-out'],
    });
    await shop.close();
  });

  test('name ten at most, and say how many more there are', async () => {
    const rules = Array.from({ length: 14 }, (_, n) => none(`rule-${n}`, 'select 1', { on: ['source'] }));
    const shop = await scene(rules);
    const { asked, held, broken } = await checkRules(shop.move);
    expect([asked, held, broken.length, broken.at(-1)]).toEqual([14, 0, 11, 'and 4 more']);
    await shop.close();
  });

  test('a call to stop ends the statement that runs', async () => {
    const shop = await scene([none('slow', 'select pg_sleep(600)', { on: ['source'] })], { ruleTimeout: 700_000 });
    const stop = new AbortController();
    const asking = underway(checkRulesUntil(shop.move, stop.signal));
    const asleep = `select from pg_stat_activity where query like 'move%rule%' and application_name like 'godwit % rules'
      and state = 'active'`;
    await until(async () => (await shop.source.row(asleep)) !== undefined, 'the rule is asked');
    stop.abort();
    await expect(asking).rejects.toThrow();
    await until(async () => (await shop.source.row(asleep)) === undefined, 'its statement has ended');
    await shop.close();
  });

  test('a switch in the middle of them makes them worthless', async () => {
    const shop = await scene([none('waits', 'select from orders where id < 0', { on: ['source'] })]);
    await shop.source.run('begin; lock table orders in access exclusive mode');
    const asking = underway(checkRules(shop.move));
    const waiting = `select from pg_locks where not granted and relation = 'orders'::regclass`;
    await until(async () => (await shop.source.row(waiting)) !== undefined, 'the rule waits');
    await pair.source.query('update godwit.authority set epoch = epoch + 2', [], shop.move.database.name);
    await shop.source.run('commit');
    await expect(asking).rejects.toMatchObject({ type: 'Blocked' });
    await shop.close();
  });
});

describe('preflight', () => {
  const refused = (move: DatabaseMove, side: 'source' | 'target') => find(move, 'own-rule-refused', side);

  async function shop(rules: BusinessRule[], more: Partial<NormalDatabase> = {}): Promise<DatabaseMove> {
    const name = fresh('preflight');
    for (const server of [pair.source, pair.target]) await server.createDatabase(name);
    await pair.source.query(ORDERS, [], name);
    return moveOf(pair, name, { ...withRules(rules), ...more });
  }

  test('says which rules do not parse, name nothing that is there, or are no single query', async () => {
    const move = await shop([
      UNPAID,
      TOTAL,
      none('misspelt', 'select id from orders where payed < total'),
      none('no-query', 'delete from orders returning id'),
      none('two', 'select 1; select 2'),
      none('gone', 'select from basket', { on: ['target'] }),
    ]);
    const finding = await refused(move, 'source');
    expect(finding).toMatchObject({ severity: 'error', side: 'source' });
    expect(finding?.evidence.split('; ')).toEqual([
      'misspelt: column "payed" does not exist (SQLSTATE 42703)',
      expect.stringContaining('no-query: syntax error at or near "delete"') as string,
      'two: cannot insert multiple commands into a prepared statement (SQLSTATE 42601)',
    ]);
    expect(finding?.repair[0]).toBe('Correct the rule misspelt, or what it asks for on the source');
  });

  test('knows that the copy makes the tables of the target; not so where they should exist', async () => {
    const move = await shop([UNPAID]);
    expect(await refused(move, 'target')).toBeUndefined();
    const existing = { ...move, database: { ...move.database, schema: 'existing' as const } };
    expect((await refused(existing, 'target'))?.evidence).toBe(
      'paid-in-full: relation "orders" does not exist (SQLSTATE 42P01)',
    );
  });

  test('says which rules the role of the migration has no right to ask, until it has', async () => {
    const move = await shop([UNPAID]);
    const { name } = move.database;
    const role = `asker_${name}`;
    await pair.source.query(`create role ${role} login password 'asks'`);
    process.env[`URL_OF_${role}`] = pair.source.url(name, role, 'asks');
    const asker = { ...move, database: { ...move.database, source: { env: `URL_OF_${role}` } } };
    expect((await refused(asker, 'source'))?.evidence).toBe(
      'paid-in-full: permission denied for table orders (SQLSTATE 42501)',
    );
    await pair.source.query(`grant select on orders to ${role}`, [], name);
    expect(await refused(asker, 'source')).toBeUndefined();
    await pair.source.query('alter table orders enable row level security', [], name);
    expect((await refused(asker, 'source'))?.evidence).toContain('row-level security');
  });

  test('runs none of them, and asks with the search path that users are given', async () => {
    const move = await shop([
      none('in-its-schema', 'select id from invoice where amount < 0'),
      none('slow', 'select pg_sleep(600), max(id) from orders'),
    ]);
    const { name } = move.database;
    await pair.source.query(
      'create schema billing; create table billing.invoice (id int primary key, amount int)',
      [],
      name,
    );
    expect((await refused(move, 'source'))?.evidence).toContain('relation "invoice" does not exist');
    await pair.source.query(`alter database "${name}" set search_path = billing, public`);
    expect(await refused(move, 'source')).toBeUndefined();
  });

  test('asks nothing of those that are left out', async () => {
    const move = await shop([none('misspelt', 'selct 1')]);
    expect(await refused(move, 'source')).toBeDefined();
    const { validation } = move.database;
    const without = {
      ...move,
      database: { ...move.database, validation: { ...validation, ignoreRules: ['misspelt'] } },
    };
    expect(await refused(without, 'source')).toBeUndefined();
  });
});
