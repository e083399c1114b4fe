/** Specifications from files or stdin: read, checked offline, and every error with its place. */
import { readFile } from 'node:fs/promises';
import { describeProblems, loadMigration, type LocatedProblem } from '../spec/load.js';
import type { NormalMigration } from '../spec/normal.js';
import { UsageError } from './errors.js';
import type { Terminal } from './terminal.js';

export interface Specification {
  /** As written: what a migration is started with. */
  document: unknown;
  normal: NormalMigration;
}

export type ReadSpecification =
  ({ ok: true } & Specification) | { ok: false; file: string; problems: LocatedProblem[] };

/** @param file `-` for stdin */
export async function readSpecification(terminal: Terminal, file: string): Promise<ReadSpecification> {
  const loaded = loadMigration(file === '-' ? await terminal.readInput() : await readText(file));
  if (loaded.ok) return loaded;
  return { ok: false, file: nameOf(file), problems: loaded.problems };
}

/** The same for commands that need a right one to go on. */
export async function specificationOf(terminal: Terminal, file: string): Promise<Specification> {
  const read = await readSpecification(terminal, file);
  if (read.ok) return read;
  throw new UsageError(problemsText(read.file, read.problems), ['`godwit validate` checks again, offline']);
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
