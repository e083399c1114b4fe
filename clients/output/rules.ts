/** What the user's own rules said, as status and report write it. */
import type { RulesSummary } from '../../spec/status.js';
import { plural } from './figures.js';

export function heldText({ asked, held }: RulesSummary): string {
  if (asked === 0) return 'no rule of your own was asked';
  return held === asked
    ? `${plural(asked, 'rule')} of your own held`
    : `${held} of ${plural(asked, 'rule')} of your own held`;
}

/** Those that did not hold, and why. */
export function rulesThatDidNot({ broken, noted, notAsked, ignored }: RulesSummary): string[] {
  return [
    ...broken.map((line) => `broken: ${line}`),
    ...noted.map((line) => `broken, and only said: ${line}`),
    ...notAsked.map((line) => `could not be asked: ${line}`),
    ...(ignored.length === 0 ? [] : [`left out by validation.ignoreRules: ${ignored.join(', ')}`]),
  ];
}
