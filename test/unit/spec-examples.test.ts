import { readdir, readFile } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { allFields, migrationJsonSchema, reconciliationJsonSchema } from '../../spec/json-schema.js';
import { describeProblems, loadMigration, loadReconciliation } from '../../spec/load.js';

const folder = new URL('../../examples/', import.meta.url);
const all = (await readdir(folder)).filter((name) => /\.(ya?ml|json)$/.test(name));

const read = (name: string): Promise<string> => readFile(new URL(name, folder), 'utf8');

async function checkOf(schemaFile: string): Promise<ValidateFunction> {
  const schema: unknown = JSON.parse(await readFile(new URL(`../../spec/${schemaFile}`, import.meta.url), 'utf8'));
  return new Ajv({ allErrors: true, strict: true }).compile(isObject(schema) ? schema : {});
}

const KINDS = [
  {
    kind: 'migration',
    names: all.filter((name) => !name.startsWith('reconciliation')),
    expected: ['minimal.yaml', 'full.yaml', 'two-databases.yaml', 'start-by-temporal.json'],
    full: 'full.yaml',
    root: migrationJsonSchema(),
    load: loadMigration,
  },
  {
    kind: 'reconciliation',
    names: all.filter((name) => name.startsWith('reconciliation')),
    expected: ['reconciliation-minimal.yaml', 'reconciliation.yaml'],
    full: 'reconciliation.yaml',
    root: reconciliationJsonSchema(),
    load: loadReconciliation,
  },
];

describe.each(KINDS)('the examples of a $kind', ({ kind, names, expected, full, root, load }) => {
  let check: ValidateFunction;

  beforeAll(async () => {
    check = await checkOf(`${kind}.schema.json`);
  });

  test('are small and full ones', () => {
    expect(names).toEqual(expect.arrayContaining(expected));
  });

  test.each(names)('%s is right', async (name) => {
    const answer = load(await read(name));
    expect(answer.ok ? '' : describeProblems(name, answer.problems)).toBe('');
  });

  test.each(names)('%s satisfies the JSON Schema that editors check by', async (name) => {
    check(parse(await read(name)));
    expect(check.errors).toBeNull();
  });

  test.each(names)('%s names the schema', async (name) => {
    const text = await read(name);
    const first = name.endsWith('.json')
      ? text.includes(`"$schema": "../spec/${kind}.schema.json"`)
      : text.startsWith(`# yaml-language-server: $schema=../spec/${kind}.schema.json\n`);
    expect(first).toBe(true);
  });

  test('the full one shows every field', async () => {
    const text = await read(full);
    const missing = [...allFields(root)].filter(
      // Fields of which an entry has one or the other stand in a comment.
      ({ name }) => name !== '$schema' && !new RegExp(`\\b${name}:`).test(text),
    );
    expect(missing.map(({ parent, name }) => `${parent}.${name}`)).toEqual([]);
  });
});

describe('editors', () => {
  test.each([
    ['an unknown field', 'orders:', 'orders:\n      colour: red'],
    ['a bad duration', 'maxPause: 2s', 'maxPause: 2'],
    ['an inline secret', '{ secretsManager: prod/orders/source, key: url }', 'postgres://me:hunter2@db/orders'],
    ['an unknown gate', 'finalize:', 'finish:'],
    ['a bad table pattern', "'public.*'", 'orders'],
    ['an endpoint of two kinds', '- none:', '  none:'],
  ])('see %s of a migration', async (_, right, wrong) => {
    const check = await checkOf('migration.schema.json');
    const text = await read('full.yaml');
    expect(text).toContain(right);
    expect(check(parse(text.replace(right, wrong)))).toBe(false);
  });

  test.each([
    ['an unknown field', 'jitter: 30s', 'jiter: 30s'],
    ['a bad duration', 'every: 15m', 'every: 15'],
    ['a bad calendar', 'cron: 0 2 * * *', 'cron: daily'],
    ['an unknown level', 'level: deep', 'level: deeper'],
    ['an unknown kind', 'missing: high', 'mising: high'],
    ['a rule of no kind', 'order: { earlier: created_at, later: updated_at }', 'order: soon'],
  ])('see %s of a reconciliation', async (_, right, wrong) => {
    const check = await checkOf('reconciliation.schema.json');
    const text = await read('reconciliation.yaml');
    expect(text).toContain(right);
    expect(check(parse(text.replace(right, wrong)))).toBe(false);
  });
});

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
