import type { Finding } from '../spec/findings.js';
import { findings } from './inspection.js';
import { reading } from './reading.js';

/** Input: the document, or `{document, migration?}`. Reads only; findings of severity `error` would stop a migration. */
export async function preflight(input: unknown): Promise<Finding[]> {
  return reading(input, (control) => findings(control));
}
