/** Tables of fields for the pages that are made from a schema: field, type, default, meaning. */
import { stringify } from 'yaml';
import type { FieldPlace, SchemaNode } from './json-schema.js';

/** A heading and the fields below one place of the file. `marked` are followed by a sign that the page explains. */
export function fieldTable(
  parent: string,
  fields: FieldPlace[],
  marked: (place: FieldPlace) => boolean = () => false,
): string {
  const heading = parent === '' ? 'The file' : `\`${parent}\``;
  const rows = fields.map((place) => {
    const mark = marked(place) ? ' ⟳' : '';
    return `| \`${place.name}\`${mark} | ${typeOf(place.node)} | ${defaultOf(place)} | ${cell(place.node.description ?? '')} |`;
  });
  return [`## ${heading}`, '', '| field | type | default | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join(
    '\n',
  );
}

function typeOf(node: SchemaNode): string {
  if (node.title !== undefined) return node.title;
  if (node.anyOf !== undefined) return 'secret reference';
  if (node.type === 'number') return 'number';
  if (node.const !== undefined) return shown(node.const);
  if (node.enum !== undefined) return node.enum.map(shown).join(' or ');
  if (node.type === 'array') return `list of ${elementOf(node.items)}`;
  if (node.type === 'object') return 'mapping';
  if (node.type === 'integer') return `${node.minimum} to ${node.maximum}`;
  return 'text';
}

function elementOf(items: SchemaNode['items']): string {
  if (typeof items !== 'object' || Array.isArray(items)) return 'values';
  if (items.type === 'object' || items.$ref !== undefined) return 'mappings';
  if (items.enum !== undefined) return items.enum.map(shown).join(', ');
  return items.title === undefined ? 'text' : `${items.title}s`;
}

function defaultOf({ node, required }: FieldPlace): string {
  if (required) return '**required**';
  return node.default === undefined ? '' : shown(node.default);
}

/** As YAML writes it in one line. */
function shown(value: unknown): string {
  return `\`${stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, singleQuote: true }).trim()}\``;
}

/** A bar would end the cell, and a star begin emphasis. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('*', '\\*');
}
