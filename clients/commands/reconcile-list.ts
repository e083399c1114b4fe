import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { runList } from '../output/run.js';
import { listRuns } from '../runs.js';
import type { Terminal } from '../terminal.js';

export interface ReconcileListOptions extends GlobalFlags, OutputFlags {
  running?: boolean;
  limit: number;
}

export async function reconcileList(terminal: Terminal, options: ReconcileListOptions): Promise<ExitCode> {
  const { limit, running = false, output } = options;
  return withTemporal(options, terminal.env, async (temporal) => {
    const runs = await listRuns(temporal, { limit, running });
    if (runs.length === 0 && output === 'table') {
      terminal.note(running ? 'No reconciliation runs here.' : 'No reconciliations here: godwit reconcile FILE');
      return EXIT.done;
    }
    const { colours } = terminal;
    await print(terminal, output, runs, (wide) => runList(runs, { colours, now: new Date(), wide }));
    return EXIT.done;
  });
}
