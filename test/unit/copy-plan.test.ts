import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyCuts, whereOf, type CopyTable } from '../../activities/postgres/copy/plan.js';

const key = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test('cuts of any key range rise, stay inside of it, and are never more than asked for', () => {
  fc.assert(
    fc.property(
      key,
      key,
      fc.array(key, { maxLength: 101 }),
      fc.integer({ min: 1, max: 500 }),
      (a, b, spread, wanted) => {
        const [lo, hi] = a < b ? [a, b] : [b, a];
        const inside = spread.filter((value) => value >= lo && value <= hi).sort((x, y) => (x < y ? -1 : 1));
        const cuts = keyCuts(lo, hi, inside, wanted);
        expect(cuts.length).toBeLessThan(wanted);
        cuts.forEach((cut, i) => {
          expect(cut).toBeGreaterThan(i === 0 ? lo : (cuts[i - 1] ?? lo));
          expect(cut).toBeLessThanOrEqual(hi);
        });
      },
    ),
  );
});

test('keys spread unevenly are cut by rows, not by width', () => {
  // 100 small keys and one huge: cut by width, all of them but one would be in the first of the ranges.
  const spread = [...Array.from({ length: 100 }, (_, i) => BigInt(i)), 10n ** 15n];
  expect(keyCuts(0n, 10n ** 15n, spread, 4)).toEqual([25n, 50n, 75n]);
});

test('the ranges of a table meet without a gap, open at both ends', () => {
  const table: CopyTable = {
    schema: 'public',
    name: 't',
    bytes: 0,
    pages: 0,
    keyColumn: 'Id',
    spread: [],
    columns: ['Id'],
    format: 'binary',
    rowFilter: null,
  };
  expect(whereOf(table, { seq: 0, kind: 'key', lo: null, hi: 5n, estimate: 0 })).toBe('where "Id" < 5');
  expect(whereOf(table, { seq: 1, kind: 'key', lo: 5n, hi: null, estimate: 0 })).toBe('where "Id" >= 5');
  expect(whereOf(table, { seq: 1, kind: 'ctid', lo: 5n, hi: 9n, estimate: 0 })).toBe(
    `where ctid >= '(5,0)'::tid and ctid < '(9,0)'::tid`,
  );
  expect(whereOf(table, { seq: 0, kind: 'whole', lo: null, hi: null, estimate: 0 })).toBe('');
});
