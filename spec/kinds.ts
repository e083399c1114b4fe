/** The kinds of document there are: what takes each, for the person who gave one to what takes the other. */
import type { SpecProblem } from './problems.js';
import { RECONCILIATION_KIND } from './reconciliation-schema.js';
import { KIND } from './schema.js';
import { didYouMean, nearest, oneOf } from './spelling.js';

const TAKEN_BY: Record<string, string> = {
  [KIND]: 'godwit start and the workflow migration take one',
  [RECONCILIATION_KIND]: 'godwit reconcile, godwit schedule and the workflow reconciliation take one',
};

export const KINDS = Object.keys(TAKEN_BY);

/** A right document in the wrong place has this one problem, and no others that follow from it. */
export function otherKind(document: unknown, wanted: string): SpecProblem | null {
  const kind = kindOf(document);
  if (kind === null || kind === wanted) return null;
  const takes = TAKEN_BY[kind];
  if (takes === undefined) return null;
  return { path: ['kind'], about: 'value', message: `expected ${wanted}, found ${kind}; ${takes}` };
}

/** The kind that is meant, where any will do, if it can be told; and a problem where it isn't written so. */
export function anyKind(document: unknown): { kind: string | null; problem: SpecProblem | null } {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return { kind: KIND, problem: null };
  const kind = kindOf(document);
  if (kind !== null && KINDS.includes(kind)) return { kind, problem: null };
  const message = kind === null ? `is missing; write ${oneOf(KINDS)}` : `expected ${oneOf(KINDS)}${guess(kind)}`;
  return { kind: kind === null ? null : nearest(kind, KINDS), problem: { path: ['kind'], about: 'value', message } };
}

function guess(kind: string): string {
  return nearest(kind, KINDS) === null ? '' : didYouMean(kind, KINDS);
}

function kindOf(document: unknown): string | null {
  if (typeof document !== 'object' || document === null || !('kind' in document)) return null;
  return typeof document.kind === 'string' ? document.kind : null;
}
