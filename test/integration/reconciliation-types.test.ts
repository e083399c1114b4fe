/** Every type, key and name that a table may have: a difference in it is found by a run, and repaired to the very bytes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Session } from '../../activities/postgres/session.js';
import { type TableName } from '../../activities/postgres/statements.js';
import type { NormalReconciliation, RunSummary } from '../../spec/reconciliation.js';
import { fresh } from '../support/fresh-name.js';
import { changeFirstRow, changeOneRowEach } from '../support/injected-differences.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';
import { ROLES, rowsOf, TABLE_KINDS, TYPES } from '../support/table-kinds.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair();
  await Promise.all([pair.source.query(ROLES), pair.target.query(ROLES)]);
});
afterAll(() => pair.destroy());

const EVERY_TYPE = { schema: 'kinds', name: 'every_type' };
const NAMES = `Sch.ema "quoted" 'ß' – 🐦`;
const KEYS = [
  ...['smallint', 'integer', 'bigint', 'uuid', 'text', 'char', 'citext', 'any_case', 'numeric', 'float'],
  ...['timestamptz', 'bytea', 'enum', 'domain', 'inet', 'array', 'composite_type', 'range', 'bits', 'columns'],
  'unique_constraint',
].map((key): TableName => ({ schema: 'keys', name: `by_${key}` }));
const OTHERS: TableName[] = [
  { schema: 'keys', name: 'with_included' },
  { schema: 'sizes', name: 'dropped_columns' },
  { schema: 'trees', name: 'bucketed_1' },
  ...['Mixed.Case "quoted" table\'s', 'select', 'position', ':table', '*', 'a/b\\c', '.dot', ' space ', 'new\nline']
    .concat('seventeen characters then many more until sixty-three bytes-end')
    .map((name) => ({ schema: NAMES, name })),
];
/** Changes of other kinds, and what is found of each. */
const MADE: [string, string][] = [
  [`update keys.by_unique_index set value = 'w' where code = 'c5'`, 'by_unique_index changed r2,c5 (value)'],
  [
    `delete from sizes.only_a_key where key = (select min(key::text)::uuid from sizes.only_a_key)`,
    'only_a_key missing 1679091c-5a88-0faf-6fb5-e6087eb1b2dc',
  ],
  [
    `insert into sizes.only_a_key values ('00000000-0000-0000-0000-000000000000')`,
    'only_a_key extra 00000000-0000-0000-0000-000000000000',
  ],
  [`update computed.invoice set net = net + 1 where id = 7`, 'invoice changed 7 (gross,net)'],
  [`delete from bound.booking where id = 9`, 'booking missing 9'],
  // what the key's own operator calls the same is one row, told once
  [`update keys.by_citext set key = 'KEY3' where key = 'Key3'`, 'by_citext changed Key3 (key)'],
  [`update keys.by_numeric set key = 1.1000 where key = 1.1`, 'by_numeric changed 1.10 (key)'],
  // rows of children, which a table's own statements must not reach
  ['insert into trees.boat values (3, $$no vehicle$$, 1)', 'boat extra 3'],
  [`update only trees.vehicle set name = 'elsewhere' where id = 3`, 'vehicle changed 3 (name)'],
  [`delete from trees.car where id = (select min(id) from only trees.car)`, 'car missing 21'],
];

describe('a difference in each type, key and name', () => {
  let world: Reconciled;
  let normal: NormalReconciliation;
  let wanted: string[];
  let original: Map<string, string>;
  let found: RunSummary;

  beforeAll(async () => {
    const schema = `${TABLE_KINDS}; update computed.invoice set made_at = '2026-01-01'`;
    world = await Reconciled.start(pair, fresh('kinds'), { schema, rows: 'select', replicated: false });
    normal = world.normal({ replication: { none: true } });
    original = await rowsOf(pair.source, world.name);
    await using target = await Session.open('target', pair.target.url(world.name), { purpose: 'test' });
    await changeOneRowEach(target, EVERY_TYPE, TYPES);
    wanted = TYPES.map((type, index) => `every_type changed ${index + 1} (${type})`);
    for (const table of [...KEYS, ...OTHERS]) {
      const key = /changed (\[.*\]) confirmed$/s.exec(await changeFirstRow(target, table))?.[1] ?? '[]';
      wanted.push(`${table.name} changed ${(JSON.parse(key) as string[]).join(',')} (value)`);
    }
    for (const [sql, line] of MADE) {
      await target.run(sql);
      wanted.push(line);
    }
    found = await world.run(normal);
  });

  test('is found, and nothing else', async () => {
    expect(found).toMatchObject({ verdict: 'different', suspects: 0, tablesNotCompared: 0 });
    expect((await world.found(found.run)).sort()).toEqual(wanted.sort());
    expect(await rowsOf(pair.target, world.name)).not.toEqual(original);
  });

  test('is repaired to what the source has, in the words of Postgres', async () => {
    expect(await world.repair(normal, found.run)).toMatchObject({ refused: 0, unneeded: 0 });
    expect(await world.refused()).toEqual([]);
    expect(await rowsOf(pair.target, world.name)).toEqual(original);
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
  });
});
