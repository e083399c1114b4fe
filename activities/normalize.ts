/** The first activity of every workflow: one document in, its normal form out, so that workflow code knows no defaults. */
import type { NormalMigration } from '../spec/normal.js';
import { normalizeMigration } from '../spec/normalize.js';
import { normalizeReconciliation as normalizedReconciliation } from '../spec/normalize-reconciliation.js';
import { problemText, type SpecProblem } from '../spec/problems.js';
import type { NormalReconciliation } from '../spec/reconciliation.js';
import { failure } from './failure.js';

/** Fails with `InvalidSpec`, naming every problem by its path. */
export async function normalize(input: { document: unknown }): Promise<NormalMigration> {
  const answer = normalizeMigration(input.document);
  if (answer.ok) return Promise.resolve(answer.normal);
  throw invalid(answer.problems);
}

/** Fails with `InvalidSpec`, naming every problem by its path. */
export async function normalizeReconciliation(input: { document: unknown }): Promise<NormalReconciliation> {
  const answer = normalizedReconciliation(input.document);
  if (answer.ok) return Promise.resolve(answer.normal);
  throw invalid(answer.problems);
}

function invalid(problems: SpecProblem[]): Error {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return failure(
    'InvalidSpec',
    `the specification has ${count}:\n${problems.map((problem) => `- ${problemText(problem)}`).join('\n')}\n` +
      'Nothing was changed; mend the file, check it with godwit validate, and start again',
  );
}
