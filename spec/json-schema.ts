/** The schema as JSON Schema (draft 7, which editors know best), and what it says at a path. */
import { z } from 'zod';
import { Migration } from './schema.js';

export type SchemaNode = z.core.JSONSchema.BaseSchema;

let made: SchemaNode | null = null;

/** Of the document as written: what has a default may be left out. */
export function migrationJsonSchema(): SchemaNode {
  made ??= {
    title: 'Godwit migration',
    ...z.toJSONSchema(Migration, {
      io: 'input',
      target: 'draft-7',
      // `{}` says no more than the defaults of its members do.
      override: ({ jsonSchema }) => {
        if (jsonSchema.type === 'object') delete jsonSchema.default;
      },
    }),
  };
  return made;
}

export type PathSegment = string | number;

/** What the schema says of the place at `path`; null: no such place. */
export function schemaAt(path: readonly PathSegment[]): SchemaNode | null {
  let node: SchemaNode | null = migrationJsonSchema();
  for (const segment of path) node = node === null ? null : inside(node, segment);
  return node;
}

function inside(node: SchemaNode, segment: PathSegment): SchemaNode | null {
  const { properties, additionalProperties, items } = node;
  if (typeof segment === 'number') return schemaOf(Array.isArray(items) ? items[segment] : items);
  return schemaOf(properties?.[segment] ?? additionalProperties);
}

function schemaOf(node: unknown): SchemaNode | null {
  if (!isSchema(node)) return null;
  const name = node.$ref?.replace('#/definitions/', '');
  return name === undefined
    ? node
    : schemaOf(Object.entries(migrationJsonSchema().definitions ?? {}).find(([one]) => one === name)?.[1]);
}

function isSchema(node: unknown): node is SchemaNode {
  return typeof node === 'object' && node !== null && !Array.isArray(node);
}

export interface FieldPlace {
  /** As in `spec.databases.NAME.cutover`. */
  parent: string;
  name: string;
  node: SchemaNode;
  required: boolean;
}

/** Every field there is, in the order of the schema. A mapping by name, like `databases`, gives `NAME`; a list `[]`. */
export function* allFields(node: SchemaNode = migrationJsonSchema(), parent = ''): Generator<FieldPlace> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (!isSchema(child)) continue;
    yield { parent, name, node: child, required: node.required?.includes(name) ?? false };
  }
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (isSchema(child)) yield* allFields(child, parent === '' ? name : `${parent}.${name}`);
  }
  if (isSchema(node.additionalProperties) && node.properties === undefined) {
    yield* allFields(node.additionalProperties, `${parent}.NAME`);
  }
  const item = schemaOf(node.items);
  if (item !== null) yield* allFields(item, `${parent}[]`);
}
