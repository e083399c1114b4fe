/** What has to be there: lab, demo, worker, namespace; and the version. */
import { Option, type Command } from 'commander';
import type { DemoOptions } from '../commands/demo.js';
import type { LabOptions } from '../commands/lab.js';
import type { NamespaceOptions } from '../commands/namespace.js';
import type { WorkerOptions } from '../commands/worker.js';
import type { Invocation } from '../program.js';
import { examples, outputOption } from './options.js';

export function addSetupCommands(program: Command, { terminal, finish }: Invocation): void {
  program.commandsGroup('Around it:');

  program
    .command('demo')
    .summary('see it all, on this machine')
    .description(
      'Starts a lab of real servers, puts load on a sample shop, moves its database to another server and its users to a new version, all of it back, and forward again, and shows the proof. Takes about 3 minutes once the parts are there.',
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print the evidence').choices(['table', 'json']).default('table'),
    )
    .option('--bad-green', 'let the new version turn bad at 25 %, and see everything go back by itself')
    .option('--keep', 'leave the lab running afterwards')
    .addHelpText(
      'after',
      `${examples('godwit demo', 'godwit demo --bad-green', 'godwit demo --keep', 'godwit demo -o json')}\n\nExit code 0 only if every promise held.`,
    )
    .action(async (options: DemoOptions) => {
      finish(await (await import('../commands/demo.js')).demo(terminal, options));
    });

  const lab = program
    .command('lab')
    .summary('a world of real servers to try things in')
    .description(
      'A world of real servers on this machine: Temporal, two Postgres, PgBouncer and a sample shop under load.',
    )
    .addHelpText('after', examples('godwit lab up', 'godwit lab status -o json', 'godwit lab down'));
  const LAB: Record<'up' | 'down' | 'status', string> = {
    up: 'start it, getting whatever this machine lacks',
    down: 'stop all of it',
    status: 'show what runs, and how to reach it',
  };
  for (const what of ['up', 'down', 'status'] as const) {
    const command = lab
      .command(what)
      .description(LAB[what])
      .addOption(outputOption())
      .addHelpText('after', examples(`godwit lab ${what}`));
    if (what === 'down') command.option('--remove', 'and remove its data');
    if (what === 'up') {
      command.option(
        '--traffic',
        'with the traffic to it: a stand-in for AWS with its load balancers and name servers, Prometheus, and the shop as blue and green',
      );
    }
    command.action(async (options: LabOptions) => {
      finish(await (await import('../commands/lab.js')).lab(terminal, what, options));
    });
  }

  program
    .command('namespace')
    .summary('prepare a Temporal namespace')
    .description('Prepares a Temporal namespace for Godwit.')
    .addHelpText('after', examples('godwit namespace setup'))
    .command('setup')
    .description('Registers the search attributes that Godwit sets (GodwitState, GodwitStage). Fine to run again.')
    .addOption(outputOption())
    .addHelpText('after', examples('godwit namespace setup', 'godwit namespace setup --namespace production'))
    .action(async (_options: unknown, command: Command) => {
      finish(
        await (await import('../commands/namespace.js')).setup(terminal, command.optsWithGlobals<NamespaceOptions>()),
      );
    });

  program
    .command('worker')
    .summary('run a worker')
    .description(
      'Runs a worker: it does what migrations ask for. Run at least two, where they can reach the databases; secrets are read from their environment and files.',
    )
    .option('--queues <names>', 'task queues to serve, with commas between (default: all of Godwit)')
    .option(
      '--workflow-queue <name>',
      'the one of them that workflows run on; others serve activities only (default: godwit)',
    )
    .option('--metrics-port <port>', 'serve /metrics for Prometheus and /healthz here; PORT or HOST:PORT')
    .addOption(
      new Option('--log-level <level>', 'what to log')
        .choices(['trace', 'debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .addHelpText(
      'after',
      examples('godwit worker', 'godwit worker --queues godwit-bulk', 'godwit worker --metrics-port 9464'),
    )
    .action(async (_options: unknown, command: Command) => {
      finish(await (await import('../commands/worker.js')).worker(terminal, command.optsWithGlobals<WorkerOptions>()));
    });

  program
    .command('version')
    .summary('show the version')
    .description('Shows the version.')
    .addHelpText('after', examples('godwit version'))
    .action(async () => {
      finish(await (await import('../commands/version.js')).version(terminal));
    });
  program.helpCommand('help [command]', 'show help for a command');
}
