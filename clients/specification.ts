/** Specifications from files or stdin: read, checked offline, and every error with its place. */
import { readFile } from 'node:fs/promises';
import {
  describeProblems,
  loadAny,
  loadMigration,
  loadReconciliation,
  type AnyNormal,
  type LoadResult,
  type LocatedProblem,
} from '../spec/load.js';
import type { NormalMigration } from '../spec/normal.js';
import type { NormalReconciliation } from '../spec/reconciliation.js';
import { UsageError } from './errors.js';
import type { Terminal } from './terminal.js';

export interface Specification<Normal = NormalMigration> {
  /** As written: what a workflow is started with. */
  document: unknown;
  normal: Normal;
}

export type ReadSpecification =
  ({ ok: true } & Specification<AnyNormal>) | { ok: false; file: string; problems: LocatedProblem[] };

/** Of any kind. @param file `-` for stdin */
export async function readSpecification(terminal: Terminal, file: string): Promise<ReadSpecification> {
  const loaded = loadAny(await textOf(terminal, file));
  return loaded.ok ? loaded : { ok: false, file: nameOf(file), problems: loaded.problems };
}

/** For commands that need a right migration to go on. */
export async function specificationOf(terminal: Terminal, file: string): Promise<Specification> {
  return right(file, loadMigration(await textOf(terminal, file)));
}

/** For commands that need a right reconciliation to go on. */
export async function reconciliationOf(terminal: Terminal, file: string): Promise<Specification<NormalReconciliation>> {
  return right(file, loadReconciliation(await textOf(terminal, file)));
}

function right<Normal>(file: string, loaded: LoadResult<Normal>): Specification<Normal> {
  if (loaded.ok) return loaded;
  throw new UsageError(problemsText(nameOf(file), loaded.problems), ['`godwit validate` checks again, offline']);
}

function textOf(terminal: Terminal, file: string): Promise<string> {
  return file === '-' ? terminal.readInput() : readText(file);
}

export function problemsText(file: string, problems: LocatedProblem[]): string {
  const found = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
  return `${file} has ${found}:\n${describeProblems(file, problems)}`;
}

function nameOf(file: string): string {
  return file === '-' ? 'stdin' : file;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? "it isn't there" : code === 'EISDIR' ? 'it is a folder' : (code ?? 'unknown');
    throw new UsageError(`can't read ${file}: ${why}.`);
  }
}
