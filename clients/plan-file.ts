/** A plan in a file: the plan that was read, together with the document that a start needs. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Plan } from '../spec/plan.js';
import { UsageError } from './errors.js';

export interface PlanFile {
  apiVersion: 'godwit.dev/v1alpha1';
  kind: 'Plan';
  /** Workflow id that the plan is for. */
  migration: string;
  document: unknown;
  plan: Plan;
}

export async function writePlanFile(
  path: string,
  made: Pick<PlanFile, 'migration' | 'document' | 'plan'>,
): Promise<void> {
  const content: PlanFile = { apiVersion: 'godwit.dev/v1alpha1', kind: 'Plan', ...made };
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`);
}

export async function readPlanFile(path: string): Promise<PlanFile> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`can't read the plan ${path}: ${(error as Error).message}`);
  }
  if (isPlanFile(content)) return content;
  throw new UsageError(`${path} is no plan.`, [
    '`godwit plan FILE -o PLAN` writes one',
    `a specification is started with: godwit start ${path}`,
  ]);
}

function isPlanFile(content: unknown): content is PlanFile {
  if (typeof content !== 'object' || content === null) return false;
  const { kind, plan, migration, document } = content as Partial<PlanFile>;
  return kind === 'Plan' && document !== undefined && typeof migration === 'string' && typeof plan?.digest === 'string';
}
