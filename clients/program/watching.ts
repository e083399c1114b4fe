/** Looking on: list, status, report. */
import { Option, type Command } from 'commander';
import { STATES } from '../../spec/status.js';
import type { ListOptions } from '../commands/list.js';
import type { ReportOptions } from '../commands/report.js';
import type { StatusOptions } from '../commands/status.js';
import type { Invocation } from '../program.js';
import { examples, outputOption, outputOrFileOption, wholeNumber } from './options.js';

export function addWatchingCommands(program: Command, { terminal, finish }: Invocation): void {
  program.commandsGroup('Looking on:');

  program
    .command('list')
    .summary('list migrations')
    .description('Lists the migrations that run, or all of them.')
    .option('-a, --all', 'ended ones, too')
    .addOption(new Option('--state <state>', 'only those in this state, ended or not').choices([...STATES]))
    .addOption(new Option('--limit <n>', 'the newest so many').argParser(wholeNumber).default(100))
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples('godwit list', 'godwit list --state awaiting-approval', 'godwit list --all -o json | jq -r .[].id'),
    )
    .action(async (_options: unknown, command: Command) => {
      finish(await (await import('../commands/list.js')).list(terminal, command.optsWithGlobals<ListOptions>()));
    });

  program
    .command('status')
    .summary('show how a migration is getting on')
    .description(
      'Shows state, progress, lag, gates, undo log and messages of a migration, running or ended, and what to do next.',
    )
    .argument('<id>', 'migration')
    .option('-w, --watch', 'stay, and show each change, until it ends')
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples(
        'godwit status orders-move',
        'godwit status orders-move --watch',
        'godwit status orders-move -o json | jq .state',
      ) + '\n\nExit codes: 0 shown; with --watch as it ended: 0 migrated, 1 failed, 4 undone.',
    )
    .action(async (id: string, _options: unknown, command: Command) => {
      finish(
        await (await import('../commands/status.js')).status(terminal, id, command.optsWithGlobals<StatusOptions>()),
      );
    });

  program
    .command('report')
    .summary('write the evidence of a migration')
    .description(
      'Writes the evidence: what was copied and how fast, the validation certificate, every switch with its pause step by step, approvals, messages and the undo log.',
    )
    .argument('<id>', 'migration')
    .addOption(outputOrFileOption('markdown or json', 'markdown'))
    .addHelpText(
      'after',
      examples(
        'godwit report orders-move',
        'godwit report orders-move -o orders-move.md',
        'godwit report orders-move -o json | jq .units[0].switches',
      ),
    )
    .action(async (id: string, _options: unknown, command: Command) => {
      finish(
        await (await import('../commands/report.js')).report(terminal, id, command.optsWithGlobals<ReportOptions>()),
      );
    });
}
