/** The files that are made from the schema, as they must stand in the repository. */
import { format, resolveConfig } from 'prettier';
import { fileURLToPath } from 'node:url';
import { migrationJsonSchema } from './json-schema.js';
import { specificationPage } from './specification-page.js';

export interface GeneratedFile {
  /** Absolute. */
  path: string;
  text: string;
}

export async function generatedFiles(): Promise<GeneratedFile[]> {
  const schema = fileURLToPath(new URL('./migration.schema.json', import.meta.url));
  const page = fileURLToPath(new URL('../docs/specification.md', import.meta.url));
  return [
    { path: schema, text: `${JSON.stringify(migrationJsonSchema(), null, 2)}\n` },
    { path: page, text: await format(specificationPage(), { ...(await resolveConfig(page)), parser: 'markdown' }) },
  ];
}
