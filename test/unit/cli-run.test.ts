/** What a run of a reconciliation comes to, for people and for scripts. */
import picocolors from 'picocolors';
import { expect, test } from 'vitest';
import { runText } from '../../clients/output/run.js';
import { exitCodeOfRun } from '../../clients/runs.js';
import { runSummary } from '../support/run-summary.js';

const colours = picocolors.createColors(false);

const different = runSummary({
  found: [{ kind: 'changed', severity: 'medium', schema: 'public', table: 'item', count: 3 }],
  remaining: 3,
});

test.each([
  ['different', 1, {}],
  ['repaired', 0, { remaining: 0, repaired: 3 }],
  ['accepted', 0, { remaining: 0, repaired: 1, accepted: 2, notChecked: 0 }],
  ['different', 1, { remaining: 1, accepted: 2 }],
  // nobody could look at all of it
  ['incomplete', 1, { remaining: 0, accepted: 3, notChecked: 1 }],
  ['incomplete', 1, { remaining: 0, accepted: 3, suspects: 1 }],
] as const)('%s, and ends with %i: %j', (word, exitCode, change) => {
  const summary = { ...different, ...change };
  expect(exitCodeOfRun(summary)).toBe(exitCode);
  const text = runText(summary, colours, 'shop.yaml');
  expect(text.startsWith(`${word}  comprehensive: `)).toBe(true);
  expect(text.includes(' accepted in the review')).toBe((summary.accepted ?? 0) > 0);
});
