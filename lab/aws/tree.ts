/**
 * Parameters and answers of AWS's query and REST-XML protocols as plain trees: every leaf is a string, as on the wire,
 * and a list is an array.
 */
import { XMLBuilder, XMLParser } from 'fast-xml-parser';

export type Tree = string | Tree[] | { [key: string]: Tree | undefined };
export type Branch = { [key: string]: Tree | undefined };

export const isBranch = (tree: Tree | undefined): tree is Branch => typeof tree === 'object' && !Array.isArray(tree);

/** Empty if there is none: AWS writes an empty list as an empty element. */
export const listOf = (tree: Tree | undefined): Tree[] => (Array.isArray(tree) ? tree : []);
export const branchesOf = (tree: Tree | undefined): Branch[] => listOf(tree).filter(isBranch);
export const stringsOf = (tree: Tree | undefined): string[] => listOf(tree).filter((one) => typeof one === 'string');

export const textOf = (tree: Tree | undefined): string | undefined => (typeof tree === 'string' ? tree : undefined);

/** A list's element is named for its list (`HostedZones.HostedZone`) in REST-XML, and `member` in the query protocol. */
const isElement = (name: string, path: unknown): boolean =>
  name === 'member' || (typeof path === 'string' && path.endsWith(`${name}s.${name}`));

const parser = new XMLParser({ parseTagValue: false, isArray: isElement, ignoreDeclaration: true });
const builder = new XMLBuilder({ format: false, suppressEmptyNode: true });

export function parseXml(text: string): Branch {
  return unlisted(parser.parse(text) as Tree) as Branch;
}

/** @param listed how the elements of a list are named, from the list's own name */
export function buildXml(tree: Branch, listed: (list: string) => string): string {
  return builder.build(withLists(tree, listed));
}

/** `{ Rules: { member: […] } }` → `{ Rules: […] }` */
function unlisted(tree: Tree): Tree {
  if (typeof tree === 'string') return tree;
  if (Array.isArray(tree)) return tree.map(unlisted);
  const entries = Object.entries(tree);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined && Array.isArray(only[1])) return only[1].map(unlisted);
  return Object.fromEntries(entries.map(([key, value]) => [key, value === undefined ? undefined : unlisted(value)]));
}

function withLists(tree: Tree, listed: (list: string) => string): Tree {
  if (!isBranch(tree)) return tree;
  const entries = Object.entries(tree).flatMap(([key, value]): [string, Tree][] => {
    if (value === undefined) return [];
    if (!Array.isArray(value)) return [[key, withLists(value, listed)]];
    return [[key, value.length === 0 ? '' : { [listed(key)]: value.map((one) => withLists(one, listed)) }]];
  });
  return Object.fromEntries(entries);
}

/** `Actions.member.1.Type=forward` → `{ Actions: [{ Type: 'forward' }] }` */
export function parseQuery(text: string): Branch {
  const root: Branch = {};
  for (const [path, value] of new URLSearchParams(text)) {
    const keys = path.split('.');
    const leaf = keys.pop() ?? '';
    let at = root;
    for (const key of keys) {
      const next = at[key];
      at = isBranch(next) ? next : (at[key] = {});
    }
    at[leaf] = value;
  }
  return numbered(root) as Branch;
}

function numbered(tree: Tree): Tree {
  if (!isBranch(tree)) return tree;
  const members = tree['member'];
  if (isBranch(members) && Object.keys(tree).length === 1) {
    const order = Object.keys(members).sort((one, other) => Number(one) - Number(other));
    return order.flatMap((key) => (members[key] === undefined ? [] : [numbered(members[key])]));
  }
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [key, value === undefined ? undefined : numbered(value)]),
  );
}

export function buildQuery(tree: Branch): string {
  const query = new URLSearchParams();
  const add = (path: string, value: Tree | undefined): void => {
    if (value === undefined) return;
    if (typeof value === 'string') query.append(path, value);
    else if (Array.isArray(value)) value.forEach((one, index) => add(`${path}.member.${index + 1}`, one));
    else for (const [key, inner] of Object.entries(value)) add(`${path}.${key}`, inner);
  };
  for (const [key, value] of Object.entries(tree)) add(key, value);
  return query.toString();
}
