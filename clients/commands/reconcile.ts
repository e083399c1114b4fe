import { randomUUID } from 'node:crypto';
import { normalizeReconciliation } from '../../spec/normalize-reconciliation.js';
import { problemText } from '../../spec/problems.js';
import type { Level, NormalReconciliation, RunSummary } from '../../spec/reconciliation.js';
import { withTemporal } from '../connection.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { runText } from '../output/run.js';
import { exitCodeOfRun, memoOf } from '../runs.js';
import { reconciliationOf, type Specification } from '../specification.js';
import type { Terminal } from '../terminal.js';
import { hint, settled, waitFor } from '../waiting.js';
import { hasWorker } from '../worker-presence.js';

export interface ReconcileOptions extends GlobalFlags, OutputFlags {
  level?: Level;
  full?: boolean;
  /** Patterns. */
  table?: string[];
  /** Condition in SQL on the rows of those tables. */
  where?: string;
  id?: string;
  wait: boolean;
  /** Milliseconds. */
  timeout?: number;
  taskQueue: string;
}

export async function reconcile(terminal: Terminal, file: string, options: ReconcileOptions): Promise<ExitCode> {
  const whole = await reconciliationOf(terminal, file);
  const partial = options.table !== undefined;
  if (options.where !== undefined && !partial) {
    throw new UsageError('--where is a condition on the rows of a table; name it.', [
      `godwit reconcile ${file} --table public.orders --where '${options.where}'`,
    ]);
  }
  const { document, normal } = partial ? narrowed(whole, options.table ?? [], options.where) : whole;
  const level = options.level ?? normal.level;
  const id = options.id ?? `${normal.name}-${level}-${randomUUID().slice(0, 8)}`;
  return withTemporal(options, terminal.env, async (temporal) => {
    const handle = await temporal.client.workflow.start('reconciliation', {
      workflowId: id,
      taskQueue: options.taskQueue,
      args: [{ document, level, full: options.full ?? partial, ...(partial ? { partial } : {}), scheduled: false }],
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

/** The same reconciliation of these tables alone, and of their rows for which `where` holds; a condition of the file's stays. */
function narrowed(
  { document, normal }: Specification<NormalReconciliation>,
  tables: string[],
  where: string | undefined,
): Specification<NormalReconciliation> {
  const spec = document as { spec: { tables?: object } };
  const conditions = tables.map((table): [string, string[]] => {
    const own = normal.tables.rowFilters[table];
    return [table, [own, where].filter((one) => one !== undefined)];
  });
  const rowFilters = Object.fromEntries(
    conditions
      .filter(([, each]) => each.length > 0)
      .map(([table, each]) => [table, each.map((one) => `(${one})`).join(' and ')]),
  );
  const narrow = { ...spec, spec: { ...spec.spec, tables: { ...spec.spec.tables, include: tables, rowFilters } } };
  const answer = normalizeReconciliation(narrow);
  if (answer.ok) return { document: narrow, normal: answer.normal };
  throw new UsageError(`that is no reconciliation: ${answer.problems.map(problemText).join('; ')}`);
}
