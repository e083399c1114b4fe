import { withTemporal, type Temporal } from '../connection.js';
import { CliError, UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags, WaitFlags } from '../flags.js';
import { print } from '../output/document.js';
import { shortDigest } from '../output/figures.js';
import { readPlanFile } from '../plan-file.js';
import { leftovers } from '../revival.js';
import { specificationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';
import { hint, settled, waitFor } from '../waiting.js';
import { hasWorker } from '../worker-presence.js';

export interface StartOptions extends GlobalFlags, OutputFlags, WaitFlags {
  plan?: string;
  id?: string;
  taskQueue: string;
}

interface Start {
  id: string;
  document: unknown;
  planDigest: string | null;
}

export async function start(terminal: Terminal, file: string | undefined, options: StartOptions): Promise<ExitCode> {
  const what = await toStart(terminal, file, options);
  const { id } = what;
  return withTemporal(options, terminal.env, async (temporal) => {
    await refuseOverLeftovers(temporal, id);
    const { document, planDigest } = what;
    const handle = await temporal.client.workflow.start('migration', {
      workflowId: id,
      taskQueue: options.taskQueue,
      args: [planDigest === null ? document : { document, planDigest }],
      staticSummary: `Moves ${id}`,
    });
    const started = { id, runId: handle.firstExecutionRunId, planDigest };
    if (options.wait !== true) {
      await print(terminal, options.output, started, () => startedText(terminal, started));
      if (!(await hasWorker(temporal, options.taskQueue))) {
        terminal.note(`No worker polls \`${options.taskQueue}\` yet, so it waits for one: godwit worker`);
      }
      return EXIT.done;
    }
    terminal.note(startedText(terminal, started));
    const waited = await waitFor(terminal, temporal, id, { goal: settled, timeoutMs: options.timeout });
    await print(terminal, options.output, waited.view.status, () => `${id} is ${waited.view.status.state}`);
    hint(terminal, waited.view);
    return waited.exitCode;
  });
}

async function toStart(terminal: Terminal, file: string | undefined, { plan, id }: StartOptions): Promise<Start> {
  if ((file === undefined) === (plan === undefined)) {
    throw new UsageError('a start needs either a specification or a plan.', [
      'godwit start move.yaml',
      'godwit start --plan move.plan',
    ]);
  }
  if (plan !== undefined) {
    const { migration, document, plan: made } = await readPlanFile(plan);
    if (id !== undefined && id !== migration) {
      throw new UsageError(`the plan ${plan} is for \`${migration}\`, not for \`${id}\`.`, [
        `make one for it: godwit plan FILE --id ${id} -o PLAN`,
      ]);
    }
    return { id: migration, document, planDigest: made.digest };
  }
  const { document, normal } = await specificationOf(terminal, file ?? '-');
  return { id: id ?? normal.name, document, planDigest: null };
}

/** A new run under the same id would take the databases over without knowing how to undo what is there. */
async function refuseOverLeftovers(temporal: Temporal, id: string): Promise<void> {
  const left = await leftovers(temporal, id);
  if (left === 0) return;
  throw new CliError(`the last run of \`${id}\` stopped without undoing what it did.`, {
    next: [
      `godwit abort ${id} --wait     undoes it, then start again`,
      `godwit rollback ${id}         brings it back instead`,
      'or give this one another name with --id',
    ],
  });
}

function startedText({ colours }: Terminal, { id, planDigest }: { id: string; planDigest: string | null }): string {
  const bound = planDigest === null ? '' : `, bound to plan ${shortDigest(planDigest)}`;
  return `${colours.green('started')}  ${id}${bound}\n  ${colours.dim('→')} godwit status ${id} --watch`;
}
