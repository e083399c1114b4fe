/** Checks of tables that one statement can't read in time: looked at in parts, and as exact as a whole. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dangling } from '../../activities/reconciliation/checks/dangling.js';
import { duplicates } from '../../activities/reconciliation/checks/duplicates.js';
import { byHash, byRange, byValues, type Cut } from '../../activities/reconciliation/checks/parts.js';
import { temporal } from '../../activities/reconciliation/checks/temporal.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { lines, reconciled } from '../support/checked.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());

const SIDES = ['source', 'target'] as const;
const onBothSides = (found: string[]): string[] => SIDES.flatMap((side) => found.map((line) => `${side}: ${line}`));

/** Each of 200 rows takes 4 ms to read, so that all of them never come within the time-out, and a fourth of them does. */
const SLOW = `
  create function slow(bigint) returns boolean language plpgsql immutable as $$ begin perform pg_sleep(0.004); return true; end $$;
  create table event (
    id bigint primary key, customer int, number int, created timestamptz, updated timestamptz, amount numeric, note tsvector
  );
  insert into event
    select n, nullif(n % 10, 9), n / 10, now() - interval '2 days', now() - interval '1 day', n, to_tsvector('simple', n::text)
    from generate_series(1, 200) n;
  analyze event;
  update event set updated = created - interval '1 s' where id = 150;
  update event set updated = now() + interval '1 day' where id = 100;
  delete from event where id in (125, 129);
  update event set amount = 7.00, note = to_tsvector('simple', '7') where id = 200;`;

async function slowly(
  name: string,
  checks: Partial<NormalReconciliation['checks']>,
): Promise<Awaited<ReturnType<typeof reconciled>>> {
  const made = await reconciled(pair, fresh(name), SLOW, {
    checks: { temporal: [], duplicates: [], business: [], ...checks },
    tables: { include: ['*.*'], exclude: [], rowFilters: { 'public.event': 'public.slow(id)' } },
  });
  made.run.normal.limits.statementTimeout = 500;
  return made;
}

test('rules about times are looked at in ranges of the key; gaps by what their events belong to', async () => {
  const tables = 'public.event';
  const { run, close } = await slowly('late_times', {
    temporal: [
      { kind: 'order', tables, earlier: 'created', later: 'updated' },
      { kind: 'not-in-future', tables, column: 'updated', tolerance: 0 },
      { kind: 'no-gaps', tables, column: 'number', per: ['customer'] },
      { kind: 'no-gaps', tables, column: 'id', per: [] },
    ],
  });
  const found = await temporal(run);
  expect(lines(found)).toEqual(
    onBothSides([
      'temporal public.event created+updated [150] ×1: updated is before created',
      'temporal public.event number+customer [135] ×1: numbers are missing before this number of its customer',
      // of those that belong to nobody
      'temporal public.event number+customer [139] ×1: numbers are missing before this number of its customer',
      'temporal public.event updated [100] ×1: updated is in the future',
    ]),
  );
  // one sequence of events can't be cut
  expect(found.notChecked.map(({ what }) => what)).toEqual(
    SIDES.map((side) => `no-gaps of public.event on the ${side}`),
  );
  expect(found.notChecked[0]?.why).toContain('did not finish within limits.statementTimeout (0.5 s)');
  await close();
});

test('duplicates are looked at by a hash of the values, however equal ones are written', async () => {
  const { run, close } = await slowly('late_doubles', {
    duplicates: [
      { tables: 'public.event', columns: ['amount'] },
      { tables: 'public.event', columns: ['note'] },
    ],
  });
  const found = await duplicates(run);
  expect(lines(found)).toEqual(
    onBothSides(['duplicate public.event amount [200] ×1: another row has the same values in amount']),
  );
  // there is no hash of a tsvector
  expect(found.notChecked).toHaveLength(2);
  for (const { why } of found.notChecked) expect(why).toContain('did not finish within limits.statementTimeout');
  await close();
});

/** A type whose values take 4 ms to compare, so that looking for the parents of 200 rows never ends within the time-out. */
const LAZY = `
  create type lazy;
  create function lazy_in(cstring) returns lazy language internal immutable strict as 'int4in';
  create function lazy_out(lazy) returns cstring language internal immutable strict as 'int4out';
  create type lazy (input = lazy_in, output = lazy_out, like = int4);
  create function lazy_cmp(lazy, lazy) returns int language plpgsql immutable strict as $$
    begin perform pg_sleep(0.004); return sign($1::text::int - $2::text::int); end $$;
  create function lazy_eq(lazy, lazy) returns boolean language sql immutable strict as 'select public.lazy_cmp($1, $2) = 0';
  create function lazy_lt(lazy, lazy) returns boolean language internal immutable strict as 'int4lt';
  create function lazy_le(lazy, lazy) returns boolean language internal immutable strict as 'int4le';
  create function lazy_ge(lazy, lazy) returns boolean language internal immutable strict as 'int4ge';
  create function lazy_gt(lazy, lazy) returns boolean language internal immutable strict as 'int4gt';
  create operator = (leftarg = lazy, rightarg = lazy, function = lazy_eq, commutator = =);
  create operator < (leftarg = lazy, rightarg = lazy, function = lazy_lt);
  create operator <= (leftarg = lazy, rightarg = lazy, function = lazy_le);
  create operator >= (leftarg = lazy, rightarg = lazy, function = lazy_ge);
  create operator > (leftarg = lazy, rightarg = lazy, function = lazy_gt);
  create operator class lazy_ops default for type lazy using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 lazy_cmp(lazy, lazy);`;

test('references of a large table are looked at in parts of its key; one without a key is not checked in time', async () => {
  const { run, target, close } = await reconciled(
    pair,
    fresh('late_children'),
    `${LAZY}
     create table parent (id lazy primary key);
     create table numbered (id int primary key, parent lazy references parent);
     create table named (id text primary key, parent lazy references parent);
     create table hashed (id text primary key, parent lazy references parent);
     create table keyless (parent lazy references parent);
     alter table keyless replica identity full;
     set session_replication_role = replica;
     insert into parent values ('1'), ('2'), ('3');
     insert into numbered select n, (1 + n % 3)::text::lazy from generate_series(1, 200) n;
     insert into named select 'n' || id, parent from numbered;
     insert into hashed select id, parent from named;
     insert into keyless select parent from numbered;
     reset session_replication_role;
     analyze named (id)`,
  );
  await target.batch([
    'begin',
    'set local session_replication_role = replica',
    `insert into public.numbered values (-5, '7'), (600, '8')`,
    `insert into public.named values ('a', '7'), ('x', '8')`,
    `insert into public.hashed values ('a', '7'), ('x', '8')`,
    'commit',
  ]);
  run.normal.limits.statementTimeout = 500;
  const found = await dangling(run);
  expect(found.notChecked.map(({ why }) => why).filter((why) => !why.includes('did not finish'))).toEqual([]);
  const child = (table: string, key: string): string =>
    `target: dangling public.${table} parent [${key}] ×1: no row in public.parent (${table}_parent_fkey)`;
  expect(lines(found)).toEqual([
    child('hashed', 'a'),
    child('hashed', 'x'),
    child('named', 'a'),
    child('named', 'x'),
    child('numbered', '-5'),
    child('numbered', '600'),
  ]);
  expect(found.notChecked.map(({ what }) => what)).toEqual(
    SIDES.map((side) => `foreign key keyless_parent_fkey of public.keyless on the ${side}`),
  );
  await close();
});

test('every row is in one part, and parts are halves of those before', async () => {
  const { source, close } = await reconciled(pair, fresh('cuts'), 'create table nothing (id int primary key)');
  const holds = async (cut: Cut, values: string, of: number): Promise<{ value: string; parts: number[] }[]> => {
    const parts = Array.from({ length: of }, (_, part) => `case when ${cut(part, of)} then ${part} end`);
    return source.rows(
      `select value::text, array_remove(array[${parts.join(', ')}], null) as parts from (values ${values}) as r(value)`,
    );
  };
  const cuts: [Cut, string][] = [
    [
      byRange('r.value', [-5n, 0n, 10n, 11n, 1_000n, 9_000_000_000n]),
      `(-9223372036854775808), (-6), (-5), (-1), (0), (5), (10), (11), (999), (123456789), (9000000000), (9223372036854775807)`,
    ],
    [byRange('r.value', [3n, 3n]), `(2::bigint), (3), (4)`],
    [
      byValues('r.value', ['b', 'bb', `it's`, 'z']),
      `('a'), ('b'), ('ba'), ('bb'), ('it''s'), ('y'), ('z'), ('zz'), ('')`,
    ],
    [byValues('r.value', ['7']), `(6.9), (7), (8)`],
    [byHash(['r.value']), `(1::numeric), (1.00), (2), (3.5), ('NaN'), (null), (4), (5), (6), (7), (8)`],
    [byHash(['r.value', 'length(r.value)']), `('a'), (''), ('b'), (null), ('c')`],
  ];
  for (const [cut, values] of cuts) {
    const [coarse, fine] = [await holds(cut, values, 8), await holds(cut, values, 16)];
    expect(fine.map(({ parts }) => parts.length)).toEqual(fine.map(() => 1));
    expect(fine.map(({ parts: [part = NaN] }) => [Math.floor(part / 2)])).toEqual(coarse.map(({ parts }) => parts));
    expect(cut(0, 1)).toBe('true');
  }
  const ones = await holds(byHash(['r.value']), '(1::numeric), (1.00)', 16);
  expect(ones[0]?.parts).toEqual(ones[1]?.parts);
  await close();
});
