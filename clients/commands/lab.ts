import type { ComponentHealth, LabStatus } from '../../lab/lab.js';
import type { SetupEvent } from '../../lab/components.js';
import { CliError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { duration, plural } from '../output/figures.js';
import { table } from '../output/table.js';
import type { Colours, Terminal } from '../terminal.js';

export interface LabOptions extends OutputFlags {
  /** Of `down`: its data, too. */
  remove?: boolean;
  /** Of `up`: what traffic moves through, too. */
  traffic?: boolean;
}

export async function lab(terminal: Terminal, what: 'up' | 'down' | 'status', options: LabOptions): Promise<ExitCode> {
  const { Lab } = await import('../../lab/lab.js');
  const folder = Lab.folder(terminal.env);
  switch (what) {
    case 'up': {
      const onProgress = (event: SetupEvent) => terminal.note(setupText(event, terminal.colours));
      const traffic = options.traffic === undefined ? {} : { traffic: options.traffic };
      const up = await Lab.up({ folder, env: terminal.env, onProgress, ...traffic }).catch((error: unknown) => {
        throw notUp(error);
      });
      return show(terminal, await up.status(), options);
    }
    case 'status':
      return show(terminal, await Lab.status(folder), options);
    case 'down': {
      const stopped = await Lab.down(folder, { remove: options.remove === true });
      await print(terminal, options.output, { folder, stopped }, () =>
        stopped === 0 ? `Nothing ran in ${folder}.` : `Stopped ${plural(stopped, 'server')} of the lab in ${folder}.`,
      );
      return EXIT.done;
    }
  }
}

/** Long steps of a first set-up, each with how long it takes, so that nobody thinks it hangs. */
export function setupText(event: SetupEvent, { dim, green, red }: Colours): string {
  switch (event.state) {
    case 'started':
      return `${dim('…')} ${event.title} ${dim(`(${event.expected})`)}`;
    case 'done':
      return `${green('✓')} ${event.title} ${dim(`in ${duration(event.tookMs)}`)}`;
    case 'failed':
      return `${red('✗')} ${event.title} ${dim(`after ${duration(event.tookMs)}`)}`;
  }
}

async function show(terminal: Terminal, status: LabStatus, { output }: LabOptions): Promise<ExitCode> {
  await print(terminal, output, status, () => statusText(status, terminal.colours));
  return status.state === 'up' ? EXIT.done : EXIT.failed;
}

function statusText(status: LabStatus, colours: Colours): string {
  if (status.state === 'absent') return 'There is no lab here. `godwit lab up` starts one.';
  const rows = status.components.map((component) => [
    component.name,
    paint(component, colours),
    component.page ?? component.address ?? '',
    component.pid === null ? '' : String(component.pid),
    component.problem ?? component.log,
  ]);
  const next =
    status.state === 'up' && status.files !== null
      ? [
          'Use it in a shell:',
          `  . ${status.files.environment}`,
          '  godwit worker &',
          `  godwit start ${status.files.whole ?? status.files.migration}`,
        ]
      : ['`godwit lab up` starts what does not run.'];
  return [table(['PART', 'STATE', 'ADDRESS', 'PID', 'LOG'], rows, colours), '', ...next].join('\n');
}

function paint({ state }: ComponentHealth, { green, red }: Colours): string {
  return state === 'running' ? green(state) : state === 'failing' ? red(state) : state;
}

function notUp(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return new CliError(`the lab could not be started: ${error.message}`, {
    next: ['`godwit lab up` goes on where it stopped; `godwit lab down` clears away'],
    cause: error,
  });
}
