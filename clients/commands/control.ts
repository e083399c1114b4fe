/** pause, resume, switch, retry, rollback and abort: one message each, and what is waited for after it. */
import { withTemporal, type Temporal } from '../connection.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { MessageFlags, WaitFlags } from '../flags.js';
import { send, whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { reasonLines } from '../output/reason.js';
import { paintState } from '../output/states.js';
import { bringBack, isClosed } from '../revival.js';
import type { StatusDocument } from '../../spec/status.js';
import type { Terminal } from '../terminal.js';
import { describe, viewMigration, type MigrationView } from '../view.js';
import { hint, reached, settled, settledSince, waitFor, type Goal } from '../waiting.js';

export type ControlName = 'pause' | 'resume' | 'switch' | 'retry' | 'rollback' | 'abort';

export interface ControlOptions extends MessageFlags, WaitFlags {
  unit?: string;
  yes?: boolean;
}

export async function control(
  terminal: Terminal,
  name: ControlName,
  id: string,
  options: ControlOptions,
): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const isBack = name === 'rollback' || name === 'abort';
    const closed = isClosed(await describe(temporal, id));
    if (isBack && !(await confirmed(terminal, name, id, options))) return EXIT.failed;
    const message = {
      by: options.by ?? whoAmI(terminal.env),
      ...(options.unit === undefined ? {} : { unit: options.unit }),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    };
    const before = options.wait === true ? await viewMigration(temporal, id) : null;
    if (closed && (isBack || name === 'resume')) await bringBack(terminal, temporal, id, name);
    else await send(temporal, id, name, message);
    return outcome(terminal, temporal, id, name, options, before);
  });
}

async function outcome(
  terminal: Terminal,
  temporal: Temporal,
  id: string,
  name: ControlName,
  options: ControlOptions,
  before: MigrationView | null,
): Promise<ExitCode> {
  if (options.wait === true) {
    const goal = goalOf(name, before);
    const waited = await waitFor(terminal, temporal, id, { goal, since: before, timeoutMs: options.timeout });
    await say(terminal, waited.view.status, name, options);
    hint(terminal, waited.view);
    return waited.exitCode;
  }
  const view = await viewMigration(temporal, id);
  await say(terminal, view.status, name, options);
  return EXIT.done;
}

function goalOf(name: ControlName, before: MigrationView | null): Goal {
  switch (name) {
    case 'pause':
      return reached(({ status }) => status.state === 'paused');
    case 'rollback':
      return reached(({ status }) => status.state === 'rolled-back');
    case 'abort':
      return reached(({ status }) => status.state === 'undone');
    case 'switch':
      return (view) => {
        const moved = view.status.units.every(({ primary }) => primary === 'target');
        if (moved) return EXIT.done;
        return before === null ? settled(view) : settledSince(before)(view);
      };
    case 'resume':
    case 'retry':
      return before === null ? settled : settledSince(before);
  }
}

async function say(
  terminal: Terminal,
  status: StatusDocument,
  name: ControlName,
  { output, wait }: ControlOptions,
): Promise<void> {
  const { green, dim, bold } = terminal.colours;
  await print(terminal, output, status, () =>
    [
      `${green(`${name}: accepted`)}  ${bold(status.migration)} is ${paintState(status.state, terminal.colours)}, stage ${status.stage}`,
      ...reasonLines(status).map((line) => `  ${line}`),
      ...(wait === true ? [] : [`  ${dim('→')} godwit status ${status.migration} --watch`]),
    ].join('\n'),
  );
}

async function confirmed(
  terminal: Terminal,
  name: 'rollback' | 'abort',
  id: string,
  { yes }: ControlOptions,
): Promise<boolean> {
  if (yes === true) return true;
  if (!terminal.interactive) {
    throw new UsageError(`\`godwit ${name}\` asks before it acts, and nobody is there to answer.`, [
      `say so: godwit ${name} ${id} --yes`,
    ]);
  }
  const means = {
    rollback: 'moves the writes back to the source; replication goes on',
    abort: 'moves the writes back if they have moved, and removes everything that was made',
  };
  terminal.note(`${name} ${means[name]}.`);
  const answer = await terminal.ask(`Type the migration's id (${id}) to go on: `);
  if (answer.trim() === id) return true;
  terminal.note('Nothing was done.');
  return false;
}
