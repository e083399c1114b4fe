/** The command line of Godwit: commands, flags and help. What a command does is loaded when it runs. */
import { Command, Option } from 'commander';
import type { ExitCode } from './exit.js';
import { addCompletionCommands } from './program/completion.js';
import { addControlCommands } from './program/control.js';
import { addPlanningCommands } from './program/planning.js';
import { addReconcilingCommands } from './program/reconciling.js';
import { addSetupCommands } from './program/setup.js';
import { addWatchingCommands } from './program/watching.js';
import type { Terminal } from './terminal.js';

/** What a command's action needs besides its own arguments. */
export interface Invocation {
  terminal: Terminal;
  /** Says how it ended. */
  finish: (exitCode: ExitCode) => void;
}

export function godwit(invocation: Invocation): Command {
  const program = commandsOf(invocation);
  addCompletionCommands(program, invocation);
  return program;
}

/** All commands but those of shell completion, whose library brings its own. */
export function commandsOf(invocation: Invocation): Command {
  const program = new Command('godwit')
    .description('Moves live Postgres databases to another place, and back, while people use them.')
    .usage('COMMAND [options]')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showSuggestionAfterError()
    .showHelpAfterError('(godwit --help shows all commands; godwit COMMAND --help shows one)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => invocation.terminal.out(text.trimEnd()),
      writeErr: (text) => invocation.terminal.note(text.trimEnd()),
      getOutHelpWidth: () => invocation.terminal.columns,
      getErrHelpWidth: () => invocation.terminal.columns,
      outputError: (text, write) => write(text.replace(/^error:/, invocation.terminal.colours.red('error:'))),
    })
    .addOption(new Option('--address <host:port>', 'Temporal server (TEMPORAL_ADDRESS; localhost:7233)'))
    .addOption(new Option('--namespace <name>', 'Temporal namespace (TEMPORAL_NAMESPACE; default)'))
    .addOption(new Option('--profile <name>', "profile in Temporal's configuration file (TEMPORAL_PROFILE)"))
    .addHelpText('after', EXAMPLES);
  addPlanningCommands(program, invocation);
  addWatchingCommands(program, invocation);
  addControlCommands(program, invocation);
  addReconcilingCommands(program, invocation);
  addSetupCommands(program, invocation);
  return program;
}

const EXAMPLES = `
A migration from beginning to end:
  godwit validate move.yaml             is the file right?
  godwit preflight move.yaml            are the databases ready?
  godwit plan move.yaml -o move.plan    what will happen, and how is each step undone?
  godwit start --plan move.plan
  godwit status orders-move --watch
  godwit approve orders-move switch --confirm orders-move
  godwit rollback orders-move           back, at any moment before finalize

Two databases that should hold the same:
  godwit reconcile shop.yaml            do they? what differs, row by row?
  godwit schedule create shop.yaml      ask again, at a rhythm

Exit codes: 0 done, 1 failed or differences found, 2 wrong usage or specification,
3 waits for a person, 4 undone.
Environment: TEMPORAL_* as Temporal's own tools take it, NO_COLOR, GODWIT_USER (who you are
in the log of messages), GODWIT_DEBUG (stack traces).`;
