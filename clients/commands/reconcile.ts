import { randomUUID } from 'node:crypto';
import type { Level, RunSummary } from '../../spec/reconciliation.js';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { runText } from '../output/run.js';
import { exitCodeOfRun, memoOf } from '../runs.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';
import { hint, settled, waitFor } from '../waiting.js';
import { hasWorker } from '../worker-presence.js';

export interface ReconcileOptions extends GlobalFlags, OutputFlags {
  level?: Level;
  full?: boolean;
  id?: string;
  wait: boolean;
  /** Milliseconds. */
  timeout?: number;
  taskQueue: string;
}

export async function reconcile(terminal: Terminal, file: string, options: ReconcileOptions): Promise<ExitCode> {
  const { document, normal } = await reconciliationOf(terminal, file);
  const level = options.level ?? normal.level;
  const id = options.id ?? `${normal.name}-${level}-${randomUUID().slice(0, 8)}`;
  return withTemporal(options, terminal.env, async (temporal) => {
    const handle = await temporal.client.workflow.start('reconciliation', {
      workflowId: id,
      taskQueue: options.taskQueue,
      args: [{ document, level, full: options.full ?? false, scheduled: false }],
      memo: memoOf(normal.name),
      staticSummary: `Reconciles ${normal.name}, ${level}`,
    });
    const { colours } = terminal;
    const started = `${colours.green('started')}  ${id}`;
    if (!options.wait) {
      await print(terminal, options.output, { id, runId: handle.firstExecutionRunId, level }, () => started);
      if (!(await hasWorker(temporal, options.taskQueue))) {
        terminal.note(`No worker polls \`${options.taskQueue}\` yet, so it waits for one: godwit worker`);
      }
      return EXIT.done;
    }
    terminal.note(started);
    const { exitCode, view } = await waitFor(terminal, temporal, id, { goal: settled, timeoutMs: options.timeout });
    if (view.status.state === 'done') {
      const summary = (await handle.result()) as RunSummary;
      await print(terminal, options.output, summary, () => runText(summary, colours, file === '-' ? null : file));
      return exitCodeOfRun(summary);
    }
    // Says why.
    if (view.execution.status === 'FAILED') await handle.result();
    hint(terminal, view);
    return exitCode;
  });
}
