/** From the text of a file, YAML or JSON, to a checked document, with problems that name line and column. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type Pair,
} from 'yaml';
import { anyKind } from './kinds.js';
import type { NormalMigration } from './normal.js';
import { normalizeMigration } from './normalize.js';
import { normalizeReconciliation } from './normalize-reconciliation.js';
import { pathText, problemText, type SpecProblem } from './problems.js';
import type { NormalReconciliation } from './reconciliation.js';
import { RECONCILIATION_KIND } from './reconciliation-schema.js';

export interface LocatedProblem extends SpecProblem {
  /** From 1. */
  line: number;
  column: number;
}

export type LoadResult<Normal> =
  /** `document` is what a workflow is started with: plain JSON, as written. */
  { ok: true; document: unknown; normal: Normal } | { ok: false; problems: LocatedProblem[] };

export function loadMigration(text: string): LoadResult<NormalMigration> {
  return load(text, 'a migration', normalizeMigration);
}

export function loadReconciliation(text: string): LoadResult<NormalReconciliation> {
  return load(text, 'a reconciliation', normalizeReconciliation);
}

/** What a document of any kind comes to. */
export type AnyNormal =
  { kind: 'Migration'; migration: NormalMigration } | { kind: 'Reconciliation'; reconciliation: NormalReconciliation };

export function loadAny(text: string): LoadResult<AnyNormal> {
  return load(text, 'a migration or a reconciliation', (document) => {
    const { kind, problem } = anyKind(document);
    if (problem !== null && kind === null) return { ok: false, problems: [problem] };
    const answer = normalizeAny(kind, document);
    if (problem === null || answer.ok) return answer;
    const others = answer.problems.filter(({ path }) => pathText(path) !== 'kind');
    return { ok: false, problems: [problem, ...others] };
  });
}

function normalizeAny(kind: string | null, document: unknown): Normalized<AnyNormal> {
  if (kind === RECONCILIATION_KIND) {
    const answer = normalizeReconciliation(document);
    return answer.ok ? { ok: true, normal: { kind: 'Reconciliation', reconciliation: answer.normal } } : answer;
  }
  const answer = normalizeMigration(document);
  return answer.ok ? { ok: true, normal: { kind: 'Migration', migration: answer.normal } } : answer;
}

type Normalized<Normal> = { ok: true; normal: Normal } | { ok: false; problems: SpecProblem[] };

/**
 * Reads one document; JSON is YAML, too. Finds every problem that it can. Never throws.
 * @param what as in "expected a migration"
 */
function load<Normal>(
  text: string,
  what: string,
  normalize: (document: unknown) => Normalized<Normal>,
): LoadResult<Normal> {
  const lines = new LineCounter();
  // Pretty errors and warnings on stderr would quote the file, and with it perhaps a password.
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const documents = Array.isArray(parsed) ? parsed : [];
  const [yaml, second] = documents;
  if (yaml === undefined || yaml.contents === null || isEmpty(yaml.contents)) {
    return refuse(1, 1, `the file is empty; expected ${what}: apiVersion, kind, metadata and spec`);
  }
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const syntax = [...yaml.errors, ...yaml.warnings];
  if (syntax.length > 0) {
    return {
      ok: false,
      problems: syntax.map(({ message, pos }) => ({
        path: [],
        about: 'value',
        message: notYaml(message),
        ...at(pos[0]),
      })),
    };
  }
  if (second !== undefined) {
    const { line, column } = at(second.range[0]);
    return refuse(
      line,
      column,
      'expected one document in a file, found a second document (---); give it a file of its own',
    );
  }
  const document = plain(yaml);
  if (!document.ok) return refuse(1, 1, document.message);
  const answer = normalize(document.value);
  if (answer.ok) return { ok: true, document: document.value, normal: answer.normal };
  const located = answer.problems.map((problem) => ({ ...problem, ...at(offsetOf(yaml, problem)) }));
  return { ok: false, problems: located.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** A line for each problem, as compilers write them, so that editors and terminals lead to the place. */
export function describeProblems(file: string, problems: readonly LocatedProblem[]): string {
  return problems.map((problem) => `${file}:${problem.line}:${problem.column} ${problemText(problem)}`).join('\n');
}

function refuse(line: number, column: number, message: string): { ok: false; problems: LocatedProblem[] } {
  return { ok: false, problems: [{ path: [], about: 'value', message, line, column }] };
}

function notYaml(message: string): string {
  return `this is neither YAML nor JSON: ${message.replace(/ at line \d+, column \d+.*$/s, '')}`;
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && (node.value === null || node.value === '');
}

/** Aliases are limited by the library, so that a small file can't become gigabytes. */
function plain(yaml: Document.Parsed): { ok: true; value: unknown } | { ok: false; message: string } {
  try {
    return { ok: true, value: yaml.toJS() };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'its aliases can not be resolved' };
  }
}

/** Where the value at `path` begins, or its key where the key is what stands on the line; for what is missing, its parent. */
function offsetOf(yaml: Document.Parsed, { path, about }: SpecProblem): number {
  let node: unknown = yaml.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(yaml);
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(segment),
      );
      if (pair === undefined) return offset;
      const valueStart = isScalar(pair.value) && pair.value.value !== null ? startOf(pair.value) : undefined;
      offset = (depth === path.length - 1 && about === 'value' ? valueStart : undefined) ?? startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof segment === 'number') {
      node = node.items[segment];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined;
}
