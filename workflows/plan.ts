import type { Plan } from '../spec/plan.js';
import { wholePlan } from './inspection.js';
import { reading } from './reading.js';

/** Input: the document, or `{document, migration?}`, where `migration` is the workflow id it will have. Reads only. */
export async function plan(input: unknown): Promise<Plan> {
  return reading(input, (control, normal) => wholePlan(control, normal));
}
