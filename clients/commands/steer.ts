/** promote and set-weight: the hand on the wheel of traffic. */
import { withTemporal } from '../connection.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { MessageFlags } from '../flags.js';
import { send, whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { trafficLines } from '../output/traffic.js';
import type { Terminal } from '../terminal.js';

export interface SteerOptions extends MessageFlags {
  unit?: string;
  full?: boolean;
}

export async function promote(terminal: Terminal, id: string, options: SteerOptions): Promise<ExitCode> {
  return steer(terminal, id, 'promote', { full: options.full === true }, options);
}

export async function setWeight(
  terminal: Terminal,
  id: string,
  weight: string,
  options: SteerOptions,
): Promise<ExitCode> {
  const percent = /^\d{1,3}$/.test(weight) ? Number(weight) : NaN;
  if (!(percent <= 100)) {
    throw new UsageError(`\`${weight}\` is no weight: expected a whole number of percent for green, 0 to 100.`, [
      `for instance: godwit set-weight ${id} --unit traffic/web 25`,
    ]);
  }
  return steer(terminal, id, 'setWeight', { weight: percent }, options);
}

async function steer<N extends 'promote' | 'setWeight'>(
  terminal: Terminal,
  id: string,
  name: N,
  wish: N extends 'promote' ? { full: boolean } : { weight: number },
  options: SteerOptions,
): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const status = await send(temporal, id, name, {
      by: options.by ?? whoAmI(terminal.env),
      ...(options.unit === undefined ? {} : { unit: options.unit }),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      ...wish,
    } as Parameters<typeof send<N>>[3]);
    const { green, dim, bold } = terminal.colours;
    const units = status.units.filter(({ unit }) => options.unit === undefined || unit === options.unit);
    await print(terminal, options.output, status, () =>
      [
        `${green(`${name === 'promote' ? 'promote' : 'set-weight'}: accepted`)}  ${bold(status.migration)}`,
        ...units.flatMap((unit) => trafficLines(unit, status, terminal.colours)).map((line) => `  ${line}`),
        `  ${dim('→')} godwit status ${status.migration} --watch`,
      ].join('\n'),
    );
    return EXIT.done;
  });
}
