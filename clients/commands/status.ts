import { setTimeout as sleep } from 'node:timers/promises';
import { withTemporal, type Temporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { statusText } from '../output/status.js';
import { watchText } from '../output/watch.js';
import type { Terminal } from '../terminal.js';
import { viewMigration, type MigrationView } from '../view.js';
import { ended, waitFor } from '../waiting.js';

export interface StatusOptions extends GlobalFlags, OutputFlags {
  watch?: boolean;
}

/** Often enough that a bar moves; a query costs the worker a few milliseconds. */
const REDRAW_EVERY_MS = 1_000;

export async function status(terminal: Terminal, id: string, options: StatusOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    if (options.watch !== true) {
      await show(terminal, await viewMigration(temporal, id), options);
      return EXIT.done;
    }
    if (options.output === 'json' || options.output === 'yaml') return stream(terminal, temporal, id);
    if (terminal.interactive) return redraw(terminal, temporal, id, options.output === 'wide');
    const { exitCode } = await waitFor(terminal, temporal, id, { goal: ended });
    return exitCode;
  });
}

async function show(terminal: Terminal, view: MigrationView, { output }: StatusOptions): Promise<void> {
  const { colours } = terminal;
  const document = { ...view.status, execution: view.execution, pending: view.pending };
  await print(terminal, output, document, (wide) => statusText(view, { colours, now: new Date(), wide }));
}

/** One document a line whenever it changed, for programs that follow along. */
async function stream(terminal: Terminal, temporal: Temporal, id: string): Promise<ExitCode> {
  let printed = '';
  return look(terminal, temporal, id, (view) => {
    const line = JSON.stringify({ ...view.status, execution: view.execution, pending: view.pending });
    if (line !== printed) terminal.out(line);
    printed = line;
  });
}

async function redraw(terminal: Terminal, temporal: Temporal, id: string, wide: boolean): Promise<ExitCode> {
  const { default: logUpdate } = await import('log-update');
  const { colours } = terminal;
  try {
    return await look(terminal, temporal, id, (view) => {
      const hint = colours.dim('Ctrl-C stops watching; the migration goes on.');
      const at = { colours, now: new Date(), wide };
      logUpdate(wide ? `${statusText(view, at)}\n\n${hint}` : watchText(view, at, terminal, hint));
    });
  } finally {
    logUpdate.done();
  }
}

async function look(
  terminal: Terminal,
  temporal: Temporal,
  id: string,
  draw: (view: MigrationView) => void,
): Promise<ExitCode> {
  const interrupted = terminal.interrupt();
  for (;;) {
    const view = await viewMigration(temporal, id);
    draw(view);
    const exitCode = ended(view);
    if (exitCode !== null) return exitCode;
    await sleep(REDRAW_EVERY_MS, undefined, { signal: interrupted }).catch(() => undefined);
    if (interrupted.aborted) return EXIT.done;
  }
}
