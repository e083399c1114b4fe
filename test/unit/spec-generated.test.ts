import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allFields, migrationJsonSchema, reconciliationJsonSchema } from '../../spec/json-schema.js';
import { generatedFiles } from '../../spec/generated.js';

const files = await generatedFiles();

describe('what is made from the schema', () => {
  test.each(files.map(({ path, text }) => [basename(path), path, text]))(
    '%s is current; otherwise run: npm run schema',
    async (_, path, text) => {
      expect(await readFile(path, 'utf8')).toBe(text);
    },
  );

  test.each([migrationJsonSchema(), reconciliationJsonSchema()])(
    'every field of a $title says in an editor what it is for',
    (root) => {
      const silent = [...allFields(root)].filter(({ node }) => (node.description ?? '').length < 10);
      expect(silent.map(({ parent, name }) => `${parent}.${name}`)).toEqual([]);
    },
  );
});
