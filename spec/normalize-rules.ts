/** Rules of a user's own: what no schema can say of them, and their normal form. */
import type { ParsedRule } from './business-rules.js';
import type { PathSegment } from './json-schema.js';
import { oneKind, repeated, when, type SpecProblem } from './problems.js';
import type { BusinessRule } from './reconciliation.js';

const KINDS = ['noRows', 'same', 'within'] as const;

/** @param at where they stand */
export function checkBusinessRules(at: PathSegment[], rules: ParsedRule[]): SpecProblem[] {
  return [
    ...rules.flatMap((rule, index) => [
      ...oneKind([...at, index], rule, KINDS),
      ...checkBusinessRule([...at, index], rule),
    ]),
    ...repeated(
      rules.map(({ name }) => name),
      (index) => [...at, index, 'name'],
    ),
  ];
}

function checkBusinessRule(path: PathSegment[], { same, within }: ParsedRule): SpecProblem[] {
  if (same !== undefined) {
    const own = [same.source, same.target].filter((query) => query !== undefined).length;
    const right = same.sql === undefined ? own === 2 : own === 0;
    return when(
      !right,
      [...path, 'same'],
      'expected sql, the query of both sides, or source and target, one query each',
    );
  }
  if (within === undefined) return [];
  const { min, max } = within;
  return [
    ...when(min === undefined && max === undefined, [...path, 'within'], 'expected min, max or both'),
    ...when(
      (min ?? -Infinity) > (max ?? Infinity),
      [...path, 'within', 'max'],
      `expected ${min ?? ''} or more, as min is`,
    ),
  ];
}

/** `checkBusinessRules` has seen to it that each is of exactly one kind. */
export const normalBusinessRules = (rules: ParsedRule[]): BusinessRule[] => rules.flatMap(normalBusinessRule);

function normalBusinessRule({ name, noRows, same, within, ...rule }: ParsedRule): BusinessRule[] {
  const severity = rule.severity ?? null;
  if (noRows !== undefined) return [{ kind: 'no-rows', name, ...noRows, severity }];
  if (same !== undefined) {
    const { sql: both = '', source = both, target = both, tolerance } = same;
    return [{ kind: 'same', name, sql: { source, target }, tolerance, severity }];
  }
  if (within === undefined) return [];
  const { sql: query, on, min = null, max = null } = within;
  return [{ kind: 'within', name, sql: query, on, min, max, severity }];
}
