import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TOPICS } from '../../activities/preflight/checks.js';
import { PAGE, preflightPage } from '../../activities/preflight/document.js';

test('docs/preflight.md is what the checks say: npm run docs:preflight', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(preflightPage());
});

test('every finding has one rule, and every rule has its words', () => {
  const ids = TOPICS.flatMap(({ rules }) => Object.keys(rules));
  expect(ids).toEqual([...new Set(ids)]);
  for (const { rules } of TOPICS) {
    for (const [id, rule] of Object.entries(rules)) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+|53)*$/);
      expect(rule.title, id).not.toMatch(/\.$/);
      for (const text of [rule.why, rule.mend]) expect(text, id).toMatch(/\.$/);
    }
  }
});
