/** The files that are made from the schema, as they must stand in the repository. */
import { format, resolveConfig } from 'prettier';
import { fileURLToPath } from 'node:url';
import { migrationJsonSchema, reconciliationJsonSchema, type SchemaNode } from './json-schema.js';
import { reconciliationPage } from './reconciliation-page.js';
import { specificationPage } from './specification-page.js';

export interface GeneratedFile {
  /** Absolute. */
  path: string;
  text: string;
}

export async function generatedFiles(): Promise<GeneratedFile[]> {
  return [
    schemaFile('./migration.schema.json', migrationJsonSchema()),
    await pageFile('../docs/specification.md', specificationPage()),
    schemaFile('./reconciliation.schema.json', reconciliationJsonSchema()),
    await pageFile('../docs/reconciliation-specification.md', reconciliationPage()),
  ];
}

function schemaFile(name: string, schema: SchemaNode): GeneratedFile {
  return { path: pathOf(name), text: `${JSON.stringify(schema, null, 2)}\n` };
}

async function pageFile(name: string, text: string): Promise<GeneratedFile> {
  const path = pathOf(name);
  return { path, text: await format(text, { ...(await resolveConfig(path)), parser: 'markdown' }) };
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
