/** Options that several commands have, said once. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseDuration } from '../../spec/duration.js';
import { DEFAULT_TASK_QUEUES } from '../../spec/normal.js';
import { parseUnitRef } from '../../spec/units.js';

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print the answer')
    .choices(['table', 'wide', 'json', 'yaml'])
    .default('table');
}

/** For commands whose answer is also a file: a format is printed, anything else is where to write it. */
export function outputOrFileOption(formats: string, fallback: string): Option {
  return new Option('-o, --output <format-or-file>', `${formats}; anything else is a file to write`).default(fallback);
}

export function taskQueueOption(): Option {
  return new Option('--task-queue <name>', 'queue of the workers that reach the databases').default(
    DEFAULT_TASK_QUEUES.light,
  );
}

/** Of reconciliations, whose specification may name queues of their own for what reaches the databases. */
export function workflowQueueOption(): Option {
  return new Option('--task-queue <name>', 'queue of the workers that run workflows').default(
    DEFAULT_TASK_QUEUES.light,
  );
}

export function withWait(command: Command, whatFor: string): Command {
  return command
    .option('--wait', `wait ${whatFor}, printing what happens`)
    .addOption(
      new Option(
        '--timeout <duration>',
        'with --wait: stop waiting after this long (90s, 2h); the work goes on',
      ).argParser(durationArgument),
    );
}

export function withMessage(command: Command): Command {
  return command
    .option('--reason <text>', 'why, for the log of messages')
    .option('--by <person>', 'who asks (default: USER@HOST)')
    .addOption(outputOption());
}

export function unitOption(): Option {
  return new Option('--unit <unit>', 'only this unit, written TYPE/NAME (database/orders)').argParser((text) => {
    if (parseUnitRef(text) === null) {
      throw new InvalidArgumentError('A unit is written TYPE/NAME, for instance database/orders.');
    }
    return text;
  });
}

/** In milliseconds. */
export function durationArgument(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new InvalidArgumentError(`${parsed.error}.`);
  return parsed.value;
}

/** In milliseconds since the epoch: a time, or how long ago. */
export function timeArgument(text: string): number {
  const ago = parseDuration(text);
  const at = ago.ok ? Date.now() - ago.value : Date.parse(text);
  if (!Number.isFinite(at))
    throw new InvalidArgumentError('Expected a time, 2026-05-01T22:00:00Z, or how long ago, 15m.');
  return at;
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/** Help text that shows how a command is used; each line an example. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
