import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dialectOf,
  image,
  isInteger,
  rowExpression,
  text,
  type ColumnShape,
  type TypeShape,
} from '../../activities/postgres/validation/expression.js';
import { ranges, shiftFor } from '../../activities/postgres/validation/leaves.js';
import { fill } from '../../activities/postgres/validation/template.js';

type Base = Extract<TypeShape, { kind: 'base' }>;

const base = (name: string, send: string | null = `${name}send`): Base => ({
  kind: 'base',
  name,
  builtin: true,
  send,
  output: `pg_catalog.${name}out`,
  castName: name,
});
const extension: Base = { ...base('citext'), builtin: false, output: 'ext.citextout', castName: 'ext.citext' };
const mood: TypeShape = { kind: 'enum', name: 'mood', castName: 'public.mood' };
const array = (element: TypeShape): TypeShape => ({ kind: 'array', name: '_x', castName: 'x[]', element });
const domain = (of: TypeShape): TypeShape => ({ kind: 'domain', name: 'd', castName: 'public.d', base: of });
const composite = (...attributes: ColumnShape[]): TypeShape => ({
  kind: 'composite',
  name: 'c',
  castName: 'c',
  attributes,
});

describe('the image of a value', () => {
  test.each<[string, TypeShape, string]>([
    ['int4 hashes as it is', base('int4'), 'v'],
    ['int8 by its send form, since its hash folds', base('int8'), 'int8send(v)'],
    [
      'reg* types by name, since their send form is an OID',
      base('regclass'),
      'textsend(pg_catalog.regclassout(v)::text)',
    ],
    ['a type without a send form by text', base('aclitem', null), 'textsend(pg_catalog.aclitemout(v)::text)'],
    ['an extension type by its own output function', extension, 'textsend(ext.citextout(v)::text)'],
    ['an enum by its label', mood, 'enum_send(v)'],
    ['a domain as what it stands on', domain(base('numeric')), 'numericsend((v)::numeric)'],
    ['a domain of a domain', domain(domain(mood)), 'enum_send(((v)::public.d)::public.mood)'],
    ['an array of a builtin type by its send form', array(base('numeric')), 'array_send(v)'],
    ['an array of enums by text, since array_send writes OIDs', array(mood), 'textsend(array_out(v)::text)'],
    ['an array of a domain by text', array(domain(base('int8'))), 'textsend(array_out(v)::text)'],
    ['an array of regclass by text', array(base('regclass')), 'textsend(array_out(v)::text)'],
    ['a range by its send form', { kind: 'range', name: 'r', castName: 'r', bound: base('int8') }, 'range_send(v)'],
    [
      'a range of enums by text',
      { kind: 'range', name: 'r', castName: 'r', bound: mood },
      'textsend(range_out(v)::text)',
    ],
    ['a multirange', { kind: 'multirange', name: 'm', castName: 'm', bound: base('numeric') }, 'multirange_send(v)'],
    ['a composite by text', composite({ name: 'a', type: base('int4') }), 'textsend(record_out(v)::text)'],
  ])('%s', (_, type, expected) => {
    for (const dialect of ['record', 'converted', 'text'] as const) expect(image(type, 'v', dialect)).toBe(expected);
  });

  test('text goes in by its bytes where both databases have one encoding, whatever its collation', () => {
    expect(image(base('text'), 'v', 'record')).toBe('(v)::text collate "C"');
    expect(image(domain(base('varchar')), 'v', 'record')).toBe('((v)::varchar)::text collate "C"');
    for (const dialect of ['converted', 'text'] as const) expect(image(base('text'), 'v', dialect)).toBe('textsend(v)');
    expect(image(base('bpchar'), 'v', 'record')).toBe('bpcharsend(v)');
  });
});

test('the text of a key is that of its output function, whatever casts there are', () => {
  expect(text(base('bpchar'), 'v')).toBe('pg_catalog.bpcharout(v)::text');
  expect(text(domain(mood), 'v')).toBe('enum_out((v)::public.mood)::text');
});

describe('the hash of a row', () => {
  const id: ColumnShape = { name: 'id', type: base('int8') };
  const note: ColumnShape = { name: 'no"te', type: base('text') };

  test('is seeded by an integer key', () => {
    const made = rowExpression([id, note], { kind: 'integer', column: id }, 'record');
    expect(made.hash).toBe(
      'hash_record_extended(row((r."id")::bigint, (r."no""te")::text collate "C"), (r."id")::bigint)',
    );
  });

  test('is seeded by the hash of any other key', () => {
    const made = rowExpression([id, note], { kind: 'columns', columns: [note] }, 'record');
    expect(made.seed).toBe('hash_record_extended(row((r."no""te")::text collate "C"), 0)');
    expect(made.hash).toContain(made.seed);
  });

  test('is hashed twice without a key', () => {
    const made = rowExpression([note], { kind: 'none' }, 'converted');
    expect(made.hash).toBe(
      'hash_record_extended(row(int8send(hash_record_extended(row(textsend(r."no""te")), 0))), 0)',
    );
  });

  const never = (column: ColumnShape): ColumnShape => ({ ...column, notNull: true });

  test('takes what is never null and has a strict hash by its own function, and all in a record should there be a null', () => {
    const count: ColumnShape = { name: 'count', type: domain(base('int4')) };
    const made = rowExpression(
      [never(id), never(count), never(note)],
      { kind: 'integer', column: never(id) },
      'record',
    );
    const seed = '(r."id")::bigint';
    const others = `hash_record_extended(row(${seed}), ${seed})`;
    const chain = `hashtextextended((r."no""te")::text collate "C", hashint4extended((r."count")::int4, ${others}))`;
    const all = `hash_record_extended(row(${seed}, (r."count")::int4, (r."no""te")::text collate "C"), ${seed})`;
    expect(made.hash).toBe(`coalesce(${chain}, ${all})`);
    const converted = rowExpression([never(id), never(note)], { kind: 'integer', column: id }, 'converted');
    expect(converted.hash).toBe(`hash_record_extended(row(${seed}, textsend(r."no""te")), ${seed})`);
  });

  test('tells in its form which columns are hashed by functions of their own, of very many only the first', () => {
    const columns = Array.from({ length: 1_000 }, (_, index) => never({ name: `c${index}`, type: base('int4') }));
    const { form } = rowExpression(columns, { kind: 'none' }, 'record');
    expect(form.match(/ chained/g)).toHaveLength(32);
  });

  test('is that of its text as soon as one side is version 13', () => {
    const database = (number: number, encoding = 'UTF8'): { number: number; encoding: string } => ({
      number,
      encoding,
    });
    expect(dialectOf(database(150_000), database(130_012))).toBe('text');
    expect(dialectOf(database(140_000), database(180_000))).toBe('record');
    expect(dialectOf(database(140_000), database(140_000, 'LATIN1'))).toBe('converted');
    const made = rowExpression([id], { kind: 'integer', column: id }, 'text');
    expect(made.hash).toBe('hashtextextended(row((r."id")::bigint)::text, (r."id")::bigint)');
  });

  test('has a form that knows nothing of schemas, and tells types apart that hash in other ways', () => {
    const form = (type: TypeShape): string => rowExpression([{ name: 'v', type }], { kind: 'none' }, 'record').form;
    expect(form({ ...extension, output: 'public.citextout' })).toBe(form(extension));
    expect(form(base('int8'))).not.toBe(form(base('int4')));
    expect(form(composite({ name: 'a', type: base('int4') }))).not.toBe(
      form(composite({ name: 'b', type: base('int4') })),
    );
  });

  test('knows integer keys through domains', () => {
    expect(isInteger(domain(base('int2')))).toBe(true);
    expect(isInteger(base('numeric'))).toBe(false);
  });
});

test('filling a statement leaves casts and the contents of values alone', () => {
  expect(fill('select :hash::text from :table where :unknown', { hash: 'f(":table $& $1")', table: 't' })).toBe(
    'select f(":table $& $1")::text from t where :unknown',
  );
});

const [lowest, highest] = [-(2n ** 63n), 2n ** 63n - 1n];
const bigints = fc.bigInt({ min: lowest, max: highest });

test('ranges cover every key exactly once and never cut a leaf, at both ends of bigint too', () => {
  fc.assert(
    fc.property(
      bigints,
      bigints,
      fc.integer({ min: 0, max: 10 ** 10 }),
      fc.integer({ min: 0, max: 50 }),
      (a, b, rows, count) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const shift = shiftFor(rows, high - low + 1n);
        const cut = ranges(low, high, shift, count);
        expect(shift).toBeGreaterThanOrEqual(0);
        expect(shift).toBeLessThanOrEqual(62);
        expect(cut[0]?.low ?? lowest).toBe(lowest);
        expect(cut.at(-1)?.high ?? highest).toBe(highest);
        cut.slice(1).forEach((range, index) => {
          const before = cut[index]?.high;
          expect(range.low).not.toBeNull();
          expect(before).toBe((range.low ?? 0n) - 1n);
          expect(BigInt.asUintN(shift, range.low ?? 0n)).toBe(0n);
        });
      },
    ),
  );
});
