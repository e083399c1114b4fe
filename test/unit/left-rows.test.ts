import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOfName, LeftRows, nameOfKey, type KeyName } from '../../activities/reconciliation/left-rows.js';

type Left = { how: 'hashed'; high: number; low: number } | { how: 'untold' } | { how: 'gone' };

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
/** Near each other, far apart by powers of two, larger than 32 bits, and texts: of numbers that are written otherwise, too. */
const key: fc.Arbitrary<KeyName> = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.integer({ min: 0, max: 50 }).map((n) => n * 2 ** 20),
  fc.integer({ min: 0, max: 999_999_999_999_999 }),
  fc.integer({ min: 0, max: 50 }).map((n) => `0${n}`),
  fc.string(),
);
const left: fc.Arbitrary<Left> = fc.oneof(
  fc.record({ how: fc.constant('hashed' as const), high: fc.constantFrom(0, 1), low: int32 }),
  fc.constantFrom<Left>({ how: 'untold' }, { how: 'gone' }),
);
const told = fc.array(fc.tuple(key, left), { maxLength: 300 });

function rowsOf(all: Iterable<readonly [KeyName, Left]>): LeftRows {
  const rows = new LeftRows();
  for (const [name, what] of all) {
    if (what.how === 'hashed') rows.hashed(name, what.high, what.low);
    else rows[what.how](name);
  }
  return rows;
}

const isAlike = (one: Left, other: Left | undefined): boolean =>
  one.how !== 'untold' && JSON.stringify(one) === JSON.stringify(other);

test('answers what two maps would: the last word on each key counts', () => {
  fc.assert(
    fc.property(told, told, fc.boolean(), (mine, theirs, sharing) => {
      const both = sharing ? [...mine, ...theirs] : theirs;
      const [here, there] = [new Map(mine), new Map(both)];
      const alike = [...here].filter(([name, what]) => isAlike(what, there.get(name)));
      const expected = new Set([...here.keys(), ...there.keys()]);
      for (const [name] of alike) expected.delete(name);
      const [one, other] = [rowsOf(mine), rowsOf(both)];
      expect([one.size, other.size]).toEqual([here.size, there.size]);
      const found = one.unlike(other, true);
      expect(found.alike).toBe(alike.length);
      expect(found.keys).toHaveLength(expected.size);
      expect(new Set(found.keys)).toEqual(expected);
      expect(one.unlike(other, false)).toEqual({
        alike: 0,
        keys: expect.objectContaining({ length: new Set([...here.keys(), ...there.keys()]).size }) as KeyName[],
      });
    }),
  );
});

test.each([
  ['one after the other', (n: number) => n],
  ['at intervals that are powers of two', (n: number) => n * 2 ** 16],
  ['at intervals of a Fibonacci number', (n: number) => n * 832_040],
  ['beyond 32 bits', (n: number) => 2 ** 32 * n],
  ['in two ranges that are apart by a power of two', (n: number) => (n % 2) * 2 ** 30 + n],
])('finds each of many keys %s, in the order in which they came', (_, keyAt) => {
  const keys = Array.from({ length: 200_000 }, (_each, n) => keyAt(n));
  const hashed = (salt: number): [KeyName, Left][] =>
    keys.map((name, n) => [name, { how: 'hashed', high: n, low: n % 1_000 === 7 ? salt : 0 }]);
  const { keys: unlike, alike } = rowsOf(hashed(1)).unlike(rowsOf(hashed(2)), true);
  expect(alike).toBe(199_800);
  expect(unlike).toEqual(keys.filter((_each, n) => n % 1_000 === 7));
});

test('a key of one column is its text, one of more is a list of them', () => {
  expect(keyOfName(nameOfKey(['a,b']), 1)).toEqual(['a,b']);
  expect(keyOfName(nameOfKey(['a', '"b"']), 2)).toEqual(['a', '"b"']);
  expect(keyOfName(42, 1)).toEqual(['42']);
});
