import { readdir, readFile } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { allFields } from '../../spec/json-schema.js';
import { describeProblems, loadMigration } from '../../spec/load.js';

const folder = new URL('../../examples/', import.meta.url);
const names = (await readdir(folder)).filter((name) => /\.(ya?ml|json)$/.test(name));

const read = (name: string): Promise<string> => readFile(new URL(name, folder), 'utf8');

describe('the examples', () => {
  let check: ValidateFunction;

  beforeAll(async () => {
    const schema: unknown = JSON.parse(
      await readFile(new URL('../../spec/migration.schema.json', import.meta.url), 'utf8'),
    );
    check = new Ajv({ allErrors: true, strict: true }).compile(isObject(schema) ? schema : {});
  });

  test('there are small and full ones, and one for the Temporal CLI', () => {
    expect(names).toEqual(
      expect.arrayContaining(['minimal.yaml', 'full.yaml', 'two-databases.yaml', 'start-by-temporal.json']),
    );
  });

  test.each(names)('%s is a good migration', async (name) => {
    const answer = loadMigration(await read(name));
    expect(answer.ok ? '' : describeProblems(name, answer.problems)).toBe('');
  });

  test.each(names)('%s satisfies the JSON Schema that editors check by', async (name) => {
    check(parse(await read(name)));
    expect(check.errors).toBeNull();
  });

  test.each(names)('%s names the schema', async (name) => {
    const text = await read(name);
    const first = name.endsWith('.json')
      ? text.includes('"$schema": "../spec/migration.schema.json"')
      : text.startsWith('# yaml-language-server: $schema=../spec/migration.schema.json\n');
    expect(first).toBe(true);
  });

  test('the full one shows every field', async () => {
    const text = await read('full.yaml');
    const missing = [...allFields()].filter(({ name }) => name !== '$schema' && !new RegExp(`\\b${name}:`).test(text));
    expect(missing.map(({ parent, name }) => `${parent}.${name}`)).toEqual([]);
  });

  test.each([
    ['an unknown field', 'orders:', 'orders:\n      colour: red'],
    ['a bad duration', 'maxPause: 2s', 'maxPause: 2'],
    ['an inline secret', '{ secretsManager: prod/orders/source, key: url }', 'postgres://me:hunter2@db/orders'],
    ['an unknown gate', 'finalize:', 'finish:'],
    ['a bad table pattern', "'public.*'", 'orders'],
    ['an endpoint of two kinds', '- none:', '  none:'],
  ])('editors see %s', async (_, right, wrong) => {
    const text = await read('full.yaml');
    expect(text).toContain(right);
    expect(check(parse(text.replace(right, wrong)))).toBe(false);
  });
});

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
