/** The first activity of every migration: one document in, its normal form out, so that workflow code knows no defaults. */
import type { NormalMigration } from '../spec/normal.js';
import { normalizeMigration } from '../spec/normalize.js';
import { problemText } from '../spec/problems.js';
import { failure } from './failure.js';

/** Fails with `InvalidSpec`, naming every problem by its path. */
export async function normalize(input: { document: unknown }): Promise<NormalMigration> {
  const answer = normalizeMigration(input.document);
  if (answer.ok) return Promise.resolve(answer.normal);
  const count = answer.problems.length === 1 ? '1 problem' : `${answer.problems.length} problems`;
  throw failure(
    'InvalidSpec',
    `the specification has ${count}:\n${answer.problems.map((problem) => `- ${problemText(problem)}`).join('\n')}\n` +
      'Nothing was changed; mend the file, check it with godwit validate, and start again',
  );
}
