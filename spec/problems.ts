/** What is wrong with a document, in words for the person who wrote it: what was expected, what was found, how to repair it. */
import type { z } from 'zod';
import { allFields, fieldsBelow, schemaAt, type PathSegment, type SchemaNode } from './json-schema.js';
import { looksLikeSecret } from './secret-reference.js';
import { didYouMean, nearest, oneOf } from './spelling.js';

export interface SpecProblem {
  path: PathSegment[];
  /** Whether the last name of the path is wrong, or what stands there. */
  about: 'key' | 'value';
  /** Never holds a secret, even where one was written. */
  message: string;
}

/** As in `spec.databases.orders.endpoints[0].pgbouncer` and `spec.gates["switch:database/orders"]`. */
export function pathText(path: readonly PathSegment[]): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`;
    if (looksLikeSecret(segment)) return `${text}[…]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(segment)) return `${text}[${JSON.stringify(segment)}]`;
    return text === '' ? segment : `${text}.${segment}`;
  }, '');
}

export function problemText(problem: SpecProblem): string {
  const path = pathText(problem.path);
  return path === '' ? problem.message : `${path}: ${problem.message}`;
}

// ── what a check answers ──

export function when(wrong: boolean, path: PathSegment[], message: string): SpecProblem[] {
  return wrong ? [{ path, about: 'value', message }] : [];
}

/** Where a rule is written as one of several fields. */
export function oneKind<K extends string>(
  path: PathSegment[],
  rule: Partial<Record<K, unknown>>,
  kinds: readonly K[],
): SpecProblem[] {
  const given = kinds.filter((kind) => rule[kind] !== undefined);
  const found = given.length === 0 ? 'none' : given.join(' and ');
  return when(
    given.length !== 1,
    path,
    `expected one of ${oneOf(kinds)}, found ${found}; write each rule as an entry of the list`,
  );
}

/** @param at where the name of this index stands */
export function repeated(names: string[], at: (index: number) => PathSegment[]): SpecProblem[] {
  return names.flatMap((name, index) =>
    when(names.indexOf(name) < index, at(index), `expected a name of its own, found ${name} twice`),
  );
}

// ── what the schema found ──

type Issue = z.core.$ZodIssue;

/** Every problem that the schema found in `document`; `root` is the same schema, as editors have it. */
export function schemaProblems(issues: readonly Issue[], document: unknown, root: SchemaNode): SpecProblem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((segment) => (typeof segment === 'symbol' ? segment.toString() : segment));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], about: 'key', message: unknownField(path, key, root) }));
    }
    return [
      {
        path,
        about: issue.code === 'invalid_key' ? 'key' : 'value',
        message: inWords(issue, path, valueAt(document, path), root),
      },
    ];
  });
}

function inWords(issue: Issue, path: PathSegment[], value: unknown, root: SchemaNode): string {
  if (value === undefined && path.length > 0) {
    const { const: only, description } = schemaAt(path, root) ?? {};
    if (only !== undefined) return `is missing; write ${String(only)}`;
    return description === undefined ? 'is missing' : `is missing. ${description}`;
  }
  switch (issue.code) {
    case 'invalid_type': {
      if (!issue.message.startsWith('Invalid input')) return issue.message;
      const expected = `expected ${KINDS[issue.expected] ?? issue.expected}, found ${kindOf(value)}`;
      return value === null ? `${expected}; fill it in, or leave the field out` : expected;
    }
    case 'invalid_value': {
      const known = issue.values.map(String);
      const guess = typeof value === 'string' ? nearest(value, known) : null;
      return `expected ${oneOf(known)}${guess !== null && known.length > 1 ? `; did you mean ${guess}?` : ''}`;
    }
    case 'too_small':
      return issue.origin === 'array' ? 'expected at least one entry' : `expected ${issue.minimum} or more`;
    case 'too_big':
      return `expected ${issue.maximum} or less`;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
}

const KINDS: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'text';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value;
}

/** Fields are often written one level too high or too low, so those elsewhere are looked at, too. */
function unknownField(path: PathSegment[], key: string, root: SchemaNode): string {
  const here = schemaAt(path, root);
  const known = Object.keys(here?.properties ?? {}).filter((name) => name !== '$schema');
  if (here === null || nearest(key, known) !== null) return `unknown field${didYouMean(key, known)}`;
  const above = [...allFields(root)].find(({ name, parent }) => name === key && isAbove(parent, path));
  if (above !== undefined) return `unknown field here; it belongs in ${above.parent}`;
  const below = [...fieldsBelow(here, '', root)].filter(({ parent }) => parent !== '');
  const inner = nearest(
    key,
    below.map(({ name }) => name),
  );
  const lower = below.find(({ name }) => name === inner);
  if (lower !== undefined) return `unknown field; did you mean ${lower.parent}.${lower.name}?`;
  const higher = [...allFields(root)].find(({ name, parent }) => name === key && parent !== '');
  if (higher !== undefined) return `unknown field here; it belongs in ${higher.parent}`;
  return `unknown field${didYouMean(key, known)}`;
}

/** @param parent with NAME and [] for names and positions, as `allFields` gives it */
function isAbove(parent: string, path: readonly PathSegment[]): boolean {
  const names = parent
    .replaceAll('[]', '.[]')
    .split('.')
    .filter((name) => name !== '');
  return names.length < path.length && names.every((name, depth) => ['NAME', '[]', path[depth]].includes(name));
}

function valueAt(document: unknown, path: readonly PathSegment[]): unknown {
  return path.reduce<unknown>((value, segment) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    return Object.entries(value).find(([name]) => name === String(segment))?.[1];
  }, document);
}
