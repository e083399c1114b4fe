import type { Platform, SideGrants } from '../../spec/grants.js';
import { iamPolicies } from '../../spec/iam.js';
import type { Plan } from '../../spec/plan.js';
import { withTemporal } from '../connection.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags } from '../flags.js';
import { FORMATS, print, type Format } from '../output/document.js';
import { hasErrors } from '../output/findings.js';
import { grantsText, isMissing } from '../output/grants.js';
import { gatesOf, planText } from '../output/plan.js';
import { writePlanFile } from '../plan-file.js';
import { runToResult } from '../run-workflow.js';
import { specificationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface PlanOptions extends GlobalFlags {
  /** A format, or a file to write the plan to. */
  output: string;
  out?: string;
  /** What an administrator runs instead of the steps. */
  grants?: boolean;
  platform?: Platform;
  /** The policies that AWS needs instead of the steps. */
  iam?: boolean;
  detailedExitcode?: boolean;
  taskQueue: string;
  id?: string;
}

export async function plan(terminal: Terminal, file: string, options: PlanOptions): Promise<ExitCode> {
  if (options.grants === true && options.iam === true) throw new UsageError('--grants and --iam are one or the other.');
  if (options.grants === true) return grants(terminal, file, options);
  if (options.iam === true) return iam(terminal, file, options);
  if (options.platform !== undefined) throw new UsageError('--platform belongs to --grants.');
  const { document, normal } = await specificationOf(terminal, file);
  const migration = options.id ?? normal.name;
  const made = await withTemporal(options, terminal.env, (temporal) =>
    runToResult<Plan>(temporal, 'plan', { migration, taskQueue: options.taskQueue, document }),
  );
  const format = FORMATS.find((known) => known === options.output);
  await print(terminal, format ?? 'table', made, (wide) => planText(made, terminal.colours, wide));
  for (const path of files(options, format)) {
    await writePlanFile(path, { migration, document, plan: made });
    terminal.note(`Wrote the plan to ${path}; start it with: godwit start --plan ${path}`);
  }
  return options.detailedExitcode === true ? detailed(made) : EXIT.done;
}

function files({ output, out }: PlanOptions, format: Format | undefined): string[] {
  return [...(format === undefined ? [output] : []), ...(out === undefined ? [] : [out])];
}

function detailed(made: Plan): ExitCode {
  if (hasErrors(made.findings)) return EXIT.failed;
  return gatesOf(made).length > 0 ? EXIT.waiting : EXIT.done;
}

/** Asks nobody: it follows from the specification. One policy is printed as AWS takes it; several with whom each is for. */
async function iam(terminal: Terminal, file: string, options: PlanOptions): Promise<ExitCode> {
  const format = FORMATS.find((known) => known === options.output);
  if (format === undefined || options.out !== undefined) {
    throw new UsageError('--iam prints policies as JSON or YAML; it writes no plan.', [
      `to keep it: godwit plan --iam ${file} > policy.json`,
    ]);
  }
  const { normal } = await specificationOf(terminal, file);
  const policies = iamPolicies(normal.traffic ?? []);
  const [only] = policies;
  if (only === undefined) throw new UsageError(`${file} moves no traffic, so it needs no rights in AWS.`);
  await print(terminal, format, policies, () =>
    JSON.stringify(policies.length === 1 ? only.document : policies, null, 2),
  );
  return EXIT.done;
}

async function grants(terminal: Terminal, file: string, options: PlanOptions): Promise<ExitCode> {
  const format = FORMATS.find((known) => known === options.output);
  if (format === undefined || options.out !== undefined) {
    throw new UsageError('--grants prints SQL, json or yaml; it writes no plan.', [
      `to keep it: godwit plan --grants ${file} > grants.sql`,
    ]);
  }
  const { document, normal } = await specificationOf(terminal, file);
  const made = await withTemporal(options, terminal.env, (temporal) =>
    runToResult<SideGrants[]>(temporal, 'grants', {
      migration: options.id ?? normal.name,
      taskQueue: options.taskQueue,
      document,
      ...(options.platform === undefined ? {} : { platform: options.platform }),
    }),
  );
  await print(terminal, format, made, () => grantsText(made));
  if (options.detailedExitcode !== true) return EXIT.done;
  if (made.some(({ impossible, superuser }) => impossible.length > 0 && !superuser)) return EXIT.failed;
  return made.some((side) => isMissing(side)) ? EXIT.waiting : EXIT.done;
}
