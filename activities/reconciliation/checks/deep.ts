/** Everything besides rows that makes two databases answer differently, and references to nothing. */
import type { Check } from '../findings.js';
import { constraints } from './constraints.js';
import { dangling } from './dangling.js';
import { details } from './details.js';
import { indexes } from './indexes.js';
import { servers } from './servers.js';

export const deep: Check = async (run) => {
  const parts = [];
  for (const check of [constraints, indexes, details, servers, dangling]) parts.push(await check(run));
  return {
    findings: parts.flatMap(({ findings }) => findings),
    notChecked: parts.flatMap(({ notChecked }) => notChecked),
  };
};
