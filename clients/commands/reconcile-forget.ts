import { randomUUID } from 'node:crypto';
import { withTemporal } from '../connection.js';
import { CliError, UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { memoOf } from '../runs.js';
import { listSchedules } from '../schedules.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';
import { answered } from '../worker-presence.js';

export interface ForgetOptions extends GlobalFlags, OutputFlags {
  confirm: string;
  taskQueue: string;
}

export async function forget(terminal: Terminal, file: string, options: ForgetOptions): Promise<ExitCode> {
  const { document, normal } = await reconciliationOf(terminal, file);
  const { name } = normal;
  if (options.confirm !== name) {
    throw new UsageError(`\`${options.confirm}\` is not its name; to confirm, type --confirm ${name}.`);
  }
  return withTemporal(options, terminal.env, async (temporal) => {
    const schedules = await listSchedules(temporal, name);
    if (schedules.length > 0) {
      throw new CliError(`\`${name}\` has schedules, whose next run would make it all again.`, {
        next: [`godwit schedule delete ${schedules.map(({ id }) => id).join(' ')}`],
      });
    }
    const handle = await temporal.client.workflow.start('forget', {
      workflowId: `${name}-forget-${randomUUID().slice(0, 8)}`,
      taskQueue: options.taskQueue,
      args: [document],
      memo: memoOf(name),
      staticSummary: `Forgets ${name}`,
    });
    await answered(temporal, options.taskQueue, () => handle.result());
    await print(terminal, options.output, { forgotten: name }, () => `${terminal.colours.green('forgotten')}  ${name}`);
    return EXIT.done;
  });
}
