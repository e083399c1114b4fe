/** A pass that goes from leaf to leaf by the index says what one that groups all rows says; without an index nothing goes leaf by leaf. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Session } from '../../activities/postgres/session.js';
import type { KeyRange, TableStatements } from '../../activities/postgres/validation/compared-table.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import { pin } from '../../activities/postgres/validation/lanes.js';
import { readsByIndex } from '../../activities/postgres/validation/plan.js';
import { startPair, type ServerPair } from '../support/postgres.js';

const DATABASE = 'passes';
const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;

let pair: ServerPair;
let session: Session;
beforeAll(async () => {
  pair = await startPair();
  await pair.source.createDatabase(DATABASE);
  session = await Session.open('source', pair.source.url(DATABASE), { purpose: 'test' });
  await pin(session);
  await session.run('set jit = off');
});
afterAll(async () => {
  await session.close();
  await pair.destroy();
});

async function statementsOf(name: string, rowFilter: string | null = null): Promise<TableStatements> {
  const [table] = await describeTables(session, session, [{ schema: 'public', name, rowFilter }], 'record');
  if (table === undefined) throw new Error('not described');
  return table.source;
}

/** Of a table or an index, by the transaction that is open. */
async function scansOf(relation: string): Promise<number> {
  const row = await session.row<{ scans: string }>('select pg_stat_get_xact_numscans($1::regclass)::text as scans', [
    relation,
  ]);
  return Number(row?.scans);
}

test.each<[string, string, string, KeyRange, number]>([
  ['keys below and above zero', 'bigint', 'generate_series(-500, 499)', { low: -512n, high: 511n }, 5],
  ['gaps', 'integer', 'generate_series(1, 100000, 97)', { low: 0n, high: 131_071n }, 10],
  ['a range that cuts its first and last leaf', 'integer', 'generate_series(1, 1000)', { low: 3n, high: 998n }, 4],
  ['a small type', 'smallint', 'generate_series(-32768, 32767, 7)', { low: -32_768n, high: 32_767n }, 8],
  ['a domain of integers', 'public.positive', 'generate_series(1, 1000)', { low: 0n, high: 1_023n }, 6],
  [
    'both ends of bigint',
    'bigint',
    `unnest(array[${LOWEST}, ${LOWEST} + 1, -1, 0, 1, ${HIGHEST} - 1, ${HIGHEST}]::numeric[]::bigint[])`,
    { low: LOWEST, high: HIGHEST },
    60,
  ],
])('%s', async (_, type, keys, range, shift) => {
  await session.run(`drop table if exists public.passed; drop domain if exists public.positive;
    create domain public.positive as integer check (value > 0);
    create table public.passed (id ${type} primary key, v text not null, w numeric);
    insert into public.passed select k, 'value ' || k, nullif(k % 5, 0) from ${keys} as k;
    analyze public.passed`);
  for (const filter of [null, 'w is not null']) {
    const [stepping, grouping] = [await statementsOf('passed', filter), await statementsOf('passed', filter)];
    await session.transaction(async () => {
      // of so small a table the planner would rather read all
      await session.run('set local enable_seqscan = off');
      const before = await scansOf('public.passed_pkey');
      const found = await stepping.passRange(session, range, shift, Infinity);
      const leaves = (range.high ?? 0n) / 2n ** BigInt(shift) - (range.low ?? 0n) / 2n ** BigInt(shift);
      expect((await scansOf('public.passed_pkey')) - before).toBeGreaterThanOrEqual(Number(leaves));
      expect(found).toEqual(await grouping.passRange(session, range, shift));
      expect(found.size).toBeGreaterThan(1);
    });
  }
});

test('only a condition on the index of the key counts as going there by index', async () => {
  await session.run(`create table public.keyed as select k as id, k % 1000 as kind from generate_series(1, 100000) k;
    alter table public.keyed add primary key (id); create index on public.keyed (kind); analyze public.keyed`);
  const each = (where: string): string =>
    `select found.n from generate_series(1, 100) as leaf(number)
     cross join lateral (select count(*) as n from public.keyed r where ${where}) found`;
  expect(
    await readsByIndex(session, each('r.id >= leaf.number * 10 and r.id < leaf.number * 10 + 10'), 'leaf.number'),
  ).toBe(true);
  // by the other index, with the range as a filter of what that finds
  expect(await readsByIndex(session, each('r.kind = 7 and r.id + 0 >= leaf.number'), 'leaf.number')).toBe(false);
  await session.run('alter table public.keyed drop constraint keyed_pkey');
  expect(
    await readsByIndex(session, each('r.id >= leaf.number * 10 and r.id < leaf.number * 10 + 10'), 'leaf.number'),
  ).toBe(false);
});

test('a side that lost the index of its key reads the table once a range, and not once a leaf', async () => {
  await session.run(`create table public.bare as select k as id, 'v' || k as v from generate_series(1, 200000) k;
    alter table public.bare add primary key (id); analyze public.bare`);
  const bare = await statementsOf('bare');
  await session.run('alter table public.bare drop constraint bare_pkey');
  await session.transaction(async () => {
    const before = await scansOf('public.bare');
    const found = await bare.passRange(session, { low: 0n, high: 262_143n }, 8, 200_000);
    expect([...found.values()].reduce((sum, { count }) => sum + count, 0)).toBe(200_000);
    expect((await scansOf('public.bare')) - before).toBe(1);
  });
});

test('an index that is dropped in the middle of a run is missed within a second', async () => {
  await session.run(`create table public.stripped as select k as id, 'v' || k as v from generate_series(1, 200000) k;
    alter table public.stripped add primary key (id); analyze public.stripped`);
  const stripped = await statementsOf('stripped');
  const pass = (): Promise<unknown> => stripped.passRange(session, { low: 0n, high: 262_143n }, 8, 200_000);
  await session.transaction(async () => {
    await pass();
    expect(await scansOf('public.stripped_pkey')).toBeGreaterThan(1_000);
    await session.run('alter table public.stripped drop constraint stripped_pkey');
    await sleep(1_100);
    const before = await scansOf('public.stripped');
    await pass();
    expect((await scansOf('public.stripped')) - before).toBe(1);
  });
});
