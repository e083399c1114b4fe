import { randomUUID } from 'node:crypto';
import type { RepairRun } from '../../activities/reconciliation-contract.js';
import { dryRun, type DryStatement } from '../../activities/reconciliation/repair.js';
import type { NormalReconciliation, RepairSummary } from '../../spec/reconciliation.js';
import { withTemporal, type ConnectionFlags } from '../connection.js';
import { readingDatabases } from '../databases.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import { repairText } from '../output/run.js';
import { memoOf } from '../runs.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';
import { hint, settled, waitFor } from '../waiting.js';

export interface UndoOptions extends GlobalFlags, OutputFlags {
  by?: string;
  taskQueue: string;
}

export interface RepairOptions extends UndoOptions {
  all?: boolean;
  delete?: boolean;
  dryRun?: boolean;
  confirm?: string;
}

export async function repair(terminal: Terminal, file: string, run: string, options: RepairOptions): Promise<ExitCode> {
  const { document, normal } = await reconciliationOf(terminal, file);
  const what = options.all === true ? 'all' : 'review';
  const deletions = options.delete ?? false;
  const by = options.by ?? whoAmI(terminal.env);
  if (options.dryRun === true) {
    return readingDatabases(() =>
      showStatements(terminal, options, { repair: 'dry-run', run, normal, what, deletions, by }),
    );
  }
  confirmed(normal, options.confirm, `godwit reconcile repair ${file} ${run}`);
  const summary = await workflow(terminal, options, normal, 'repair', { document, run, what, deletions, by });
  if (typeof summary === 'number') return summary;
  await print(terminal, options.output, summary, () => repairText(summary, terminal.colours));
  terminal.note(`  ${terminal.colours.dim('→')} godwit reconcile undo ${file} ${summary.repair}     takes it back`);
  return summary.refused === 0 ? EXIT.done : EXIT.failed;
}

export async function undo(terminal: Terminal, file: string, id: string, options: UndoOptions): Promise<ExitCode> {
  const { document, normal } = await reconciliationOf(terminal, file);
  const by = options.by ?? whoAmI(terminal.env);
  const summary = await workflow(terminal, options, normal, 'repairUndo', { document, repair: id, by });
  if (typeof summary === 'number') return summary;
  await print(terminal, options.output, summary, () => repairText(summary, terminal.colours));
  return summary.refused === 0 ? EXIT.done : EXIT.failed;
}

function confirmed({ name }: NormalReconciliation, typed: string | undefined, command: string): void {
  if (typed === name) return;
  const message = typed === undefined ? 'a repair changes rows' : `\`${typed}\` is not its name`;
  throw new UsageError(`${message}; to confirm, type the name of the reconciliation: --confirm ${name}.`, [
    `${command} --dry-run     shows what it would change`,
  ]);
}

/** Runs it to its end, which may also be an exit code: somebody stopped waiting, or it needs a person. */
async function workflow(
  terminal: Terminal,
  options: ConnectionFlags & { taskQueue: string },
  { name }: NormalReconciliation,
  type: 'repair' | 'repairUndo',
  input: Record<string, unknown>,
): Promise<RepairSummary | ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const id = `${name}-${type === 'repair' ? 'repair' : 'undo'}-${randomUUID().slice(0, 8)}`;
    const handle = await temporal.client.workflow.start(type, {
      workflowId: id,
      taskQueue: options.taskQueue,
      args: [input],
      memo: memoOf(name),
      staticSummary: `${type === 'repair' ? 'Repairs' : 'Takes a repair back for'} ${name}`,
    });
    terminal.note(`${terminal.colours.green('started')}  ${id}`);
    const { exitCode, view } = await waitFor(terminal, temporal, id, { goal: settled });
    if (view.status.state === 'done' || view.execution.status === 'FAILED') {
      return (await handle.result()) as RepairSummary;
    }
    hint(terminal, view);
    return exitCode;
  });
}

async function showStatements(terminal: Terminal, { output }: OutputFlags, order: RepairRun): Promise<ExitCode> {
  const { dim } = terminal.colours;
  const human = output === 'table' || output === 'wide';
  const kept: DryStatement[] = [];
  let rows = 0;
  let place = '';
  let spared = 0;
  for await (const one of dryRun({ ...order, deletions: true })) {
    if (order.what === 'all' && one.action === 'delete' && !order.deletions) {
      spared += 1;
      continue;
    }
    rows += 1;
    if (!human) {
      kept.push(one);
      continue;
    }
    const here = `${one.schema}.${one.table} on the ${one.side}`;
    if (here !== place) terminal.out(`${place === '' ? '' : '\n'}-- ${here}`);
    place = here;
    terminal.out(`${one.statement}${one.statement === '' ? '' : '  '}${dim(`-- ${one.key.join(', ')}: ${one.why}`)}`);
  }
  if (!human) await print(terminal, output, kept, () => '');
  terminal.note(rows > 0 ? `${plural(rows, 'row')} would change; nothing was changed.` : nothing(order));
  if (spared > 0) terminal.note(`${plural(spared, 'row')} more would be deleted with --delete.`);
  return EXIT.done;
}

function nothing({ what }: RepairRun): string {
  const hint = what === 'review' ? ' Nothing was decided to be repaired in the review; --all takes every finding.' : '';
  return `No row would change.${hint}`;
}
