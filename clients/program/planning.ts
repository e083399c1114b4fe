/** Before anything moves: validate, preflight, plan, start. */
import { Option, type Command } from 'commander';
import { PLATFORMS } from '../../spec/grants.js';
import type { AnalyzeOptions } from '../commands/analyze.js';
import type { PlanOptions } from '../commands/plan.js';
import type { PreflightOptions } from '../commands/preflight.js';
import type { StartOptions } from '../commands/start.js';
import type { ValidateOptions } from '../commands/validate.js';
import type { Invocation } from '../program.js';
import {
  examples,
  outputOption,
  outputOrFileOption,
  taskQueueOption,
  timeArgument,
  unitOption,
  wholeNumber,
  withWait,
} from './options.js';

const FILE = 'specification, YAML or JSON; - reads it from stdin';

const ID = "id of the migration (default: the specification's metadata.name)";

export function addPlanningCommands(program: Command, { terminal, finish }: Invocation): void {
  program.commandsGroup('Before:');

  program
    .command('validate')
    .summary('check a specification, offline')
    .description(
      'Checks a specification without asking any server: every field, name and order. Finds all that is wrong at once, each with its line and column.',
    )
    .argument('<file>', FILE)
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples(
        'godwit validate move.yaml',
        'cat move.yaml | godwit validate -',
        'godwit validate move.yaml -o yaml   with all defaults filled in',
      ),
    )
    .action(async (file: string, options: ValidateOptions) => {
      finish(await (await import('../commands/validate.js')).validate(terminal, file, options));
    });

  program
    .command('preflight')
    .summary('look for whatever would stop it, without changing anything')
    .description(
      'Looks at both databases and all endpoints, and reports whatever would stop or hurt a migration, each with what repairs it. Reads only. Workers do it, so this machine needs no way to the databases.',
    )
    .argument('<file>', FILE)
    .addOption(outputOption())
    .option('--id <id>', ID)
    .addOption(taskQueueOption())
    .addHelpText(
      'after',
      examples('godwit preflight move.yaml', 'godwit preflight move.yaml -o json | jq .[].id') + EXIT_PREFLIGHT,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PreflightOptions>();
      finish(await (await import('../commands/preflight.js')).preflight(terminal, file, options));
    });

  program
    .command('plan')
    .summary('show every step, what it touches and how it is undone')
    .description(
      'Shows every step in order: what it touches, how it is undone, where it waits for a person, how long it may take. Changes nothing. A plan in a file can be started as it is; if the databases have changed since, the start is refused.',
    )
    .argument('<file>', FILE)
    .addOption(outputOrFileOption('table, wide, json or yaml', 'table'))
    .option('--out <file>', 'write the plan to this file, whatever its name')
    .option('--id <id>', ID)
    .option(
      '--grants',
      'print the SQL instead that an administrator runs, so that the roles of the migration need not be superusers',
    )
    .addOption(
      new Option('--platform <name>', 'with --grants: what the servers are (default: as they show)').choices(PLATFORMS),
    )
    .option('--iam', 'print the least IAM policies instead that the units of traffic need; asks nobody')
    .option(
      '--detailed-exitcode',
      'exit 3 when gates of this plan will wait for people, 1 when it found errors; with --grants 3 when statements are missing, 1 when no grant will do',
    )
    .addOption(taskQueueOption())
    .addHelpText(
      'after',
      examples(
        'godwit plan move.yaml',
        'godwit plan move.yaml -o move.plan && godwit start --plan move.plan',
        'godwit plan move.yaml -o json | jq .digest',
        'godwit plan move.yaml --grants                 what an administrator runs on both sides',
        'godwit plan move.yaml --iam > policy.json      what the workers may do in AWS',
      ) + EXIT_PLAN,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PlanOptions>();
      finish(await (await import('../commands/plan.js')).plan(terminal, file, options));
    });

  program
    .command('analyze')
    .summary('ask the judge, without moving anything')
    .description(
      'Asks the judge once at every gate of a specification: what the metrics say now, or said at another time, and why. Moves nothing. Units of traffic are judged by the gates of their steps and of their watch, green beside blue. What breaches fails here at once, however short; in a migration it has to last.',
    )
    .argument('<file>', FILE)
    .addOption(unitOption())
    .addOption(
      new Option(
        '--step <weight>',
        'of units of traffic only the gates of the step with this weight, in percent',
      ).argParser(wholeNumber),
    )
    .addOption(
      new Option('--at <time>', 'when to look: 2026-05-01T22:00:00Z, or how long ago, 15m').argParser(timeArgument),
    )
    .addOption(
      new Option(
        '--since <time>',
        'as if the step had begun then (default: the longest window of a gate before)',
      ).argParser(timeArgument),
    )
    .addOption(outputOption())
    .addOption(taskQueueOption())
    .addHelpText(
      'after',
      examples(
        'godwit analyze move.yaml',
        'godwit analyze move.yaml --at 2026-05-01T22:00:00Z --since 2026-05-01T21:30:00Z',
        'godwit analyze move.yaml --unit traffic/web --step 25',
        'godwit analyze move.yaml -o json | jq .overall',
      ) + EXIT_ANALYZE,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<AnalyzeOptions>();
      finish(await (await import('../commands/analyze.js')).analyze(terminal, file, options));
    });

  withWait(
    program
      .command('start')
      .summary('start a migration')
      .description(
        'Starts a migration. It prepares, then waits at its first gate; nothing is switched without approval unless the specification turns the gates off.',
      )
      .argument('[file]', FILE)
      .option('--plan <file>', 'start what this plan shows, and nothing else')
      .option('--id <id>', ID),
    'until it ends or needs a person',
  )
    .addOption(outputOption())
    .addOption(taskQueueOption())
    .addHelpText(
      'after',
      examples(
        'godwit start move.yaml',
        'godwit start --plan move.plan --wait',
        'godwit start move.yaml --id orders-move-2 --wait --timeout 2h',
      ) + EXIT_WAIT,
    )
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<StartOptions>();
      finish(await (await import('../commands/start.js')).start(terminal, file, options));
    });
}

const EXIT_PREFLIGHT = '\n\nExit codes: 0 nothing in the way, 1 errors found, 2 the specification is wrong.';
const EXIT_ANALYZE =
  '\n\nExit codes: 0 all gates pass, 1 one fails, 2 the specification is wrong, 3 it can not be told.';
const EXIT_PLAN = `

Exit codes: 0 planned, 2 the specification is wrong; with --detailed-exitcode 0 ready and no gate
waits, 1 errors found, 3 ready, and gates will wait for people. With --grants and --detailed-exitcode 0
nothing is missing, 1 no grant gives what is missing, 3 an administrator has statements to run.`;
const EXIT_WAIT = `

Exit codes with --wait: 0 migrated, 1 failed or not ended within --timeout, 3 it waits for a person,
4 undone.`;
