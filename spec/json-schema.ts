/** The schema as JSON Schema (draft 7, which editors know best), and what it says at a path. */
import { z } from 'zod';
import { Reconciliation } from './reconciliation-schema.js';
import { Migration } from './schema.js';

export type SchemaNode = z.core.JSONSchema.BaseSchema;

const made = new Map<z.ZodType, SchemaNode>();

export function migrationJsonSchema(): SchemaNode {
  return jsonSchemaOf('Godwit migration', Migration);
}

export function reconciliationJsonSchema(): SchemaNode {
  return jsonSchemaOf('Godwit reconciliation', Reconciliation);
}

/** Of the document as written: what has a default may be left out. */
function jsonSchemaOf(title: string, schema: z.ZodType): SchemaNode {
  const known = made.get(schema);
  if (known !== undefined) return known;
  const node: SchemaNode = {
    title,
    ...z.toJSONSchema(schema, {
      io: 'input',
      target: 'draft-7',
      // `{}` says no more than the defaults of its members do.
      override: ({ jsonSchema }) => {
        if (jsonSchema.type === 'object') delete jsonSchema.default;
      },
    }),
  };
  made.set(schema, node);
  return node;
}

export type PathSegment = string | number;

/** What the schema `root` says of the place at `path`; null: no such place. */
export function schemaAt(path: readonly PathSegment[], root: SchemaNode): SchemaNode | null {
  let node: SchemaNode | null = root;
  for (const segment of path) node = node === null ? null : inside(node, segment, root);
  return node;
}

function inside(node: SchemaNode, segment: PathSegment, root: SchemaNode): SchemaNode | null {
  const { properties, additionalProperties, items } = node;
  if (typeof segment === 'number') return schemaOf(Array.isArray(items) ? items[segment] : items, root);
  return schemaOf(properties?.[segment] ?? additionalProperties, root);
}

function schemaOf(node: unknown, root: SchemaNode): SchemaNode | null {
  if (!isSchema(node)) return null;
  const name = node.$ref?.replace('#/definitions/', '');
  return name === undefined
    ? node
    : schemaOf(Object.entries(root.definitions ?? {}).find(([one]) => one === name)?.[1], root);
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
export function allFields(root: SchemaNode): Generator<FieldPlace> {
  return fieldsBelow(root, '', root);
}

/** Those below one place of the schema `root`. */
export function* fieldsBelow(node: SchemaNode, parent: string, root: SchemaNode): Generator<FieldPlace> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (!isSchema(child)) continue;
    yield { parent, name, node: child, required: node.required?.includes(name) ?? false };
  }
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (isSchema(child)) yield* fieldsBelow(child, parent === '' ? name : `${parent}.${name}`, root);
  }
  if (isSchema(node.additionalProperties) && node.properties === undefined) {
    yield* fieldsBelow(node.additionalProperties, `${parent}.NAME`, root);
  }
  const item = schemaOf(node.items, root);
  if (item !== null) yield* fieldsBelow(item, `${parent}[]`, root);
}
