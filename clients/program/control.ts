/** The operator's hand: approve, pause, resume, abort, rollback, switch, rehearse, retry, set. */
import type { Command } from 'commander';
import type { ApproveOptions } from '../commands/approve.js';
import type { ControlOptions } from '../commands/control.js';
import type { SetOptions } from '../commands/set.js';
import type { SteerOptions } from '../commands/steer.js';
import type { Invocation } from '../program.js';
import { examples, unitOption, withMessage, withWait } from './options.js';

interface ControlCommand {
  name: 'pause' | 'resume' | 'switch' | 'retry' | 'rehearse' | 'rollback' | 'abort';
  summary: string;
  description: string;
  waits: string;
  /** Asks first, since it moves writes or throws work away. */
  confirms: boolean;
  examples: string[];
}

const CONTROLS: ControlCommand[] = [
  {
    name: 'pause',
    summary: 'begin no new step',
    description: 'Begins no new step and lets no time run; replication stays as it is, so the two sides stay together.',
    waits: 'until it is paused',
    confirms: false,
    examples: ['godwit pause orders-move --reason "release tonight"'],
  },
  {
    name: 'resume',
    summary: 'go on after a pause',
    description: 'Goes on where it was paused.',
    waits: 'until it ends or needs a person',
    confirms: false,
    examples: ['godwit resume orders-move'],
  },
  {
    name: 'rehearse',
    summary: 'try the switch up to its point of no return, and undo it',
    description:
      'Runs the switch under the real load up to its point of no return, undoes it at once, and says how long writes would pause.',
    waits: '',
    confirms: false,
    examples: ['godwit rehearse orders-move', 'godwit rehearse orders-move --unit database/orders -o json'],
  },
  {
    name: 'switch',
    summary: 'go (again) to the switch',
    description: 'Goes to the switch, again after a rollback: the writes move to the target, as its gates allow.',
    waits: 'until the writes have moved, or it needs a person',
    confirms: false,
    examples: ['godwit switch orders-move --wait'],
  },
  {
    name: 'retry',
    summary: 'try again what failed',
    description: 'Tries again the step that needs attention.',
    waits: 'until it ends or needs a person again',
    confirms: false,
    examples: ['godwit retry orders-move', 'godwit retry orders-move --unit database/orders --wait'],
  },
  {
    name: 'rollback',
    summary: 'move the writes back, keep replicating',
    description:
      'Moves the writes back to the source without loss and keeps replicating, so that `switch` goes forward again. Brings back a migration whose workflow was terminated, too: it reads its undo log and what the databases say.',
    waits: 'until the writes are back',
    confirms: true,
    examples: ['godwit rollback orders-move --reason "slow queries" --wait', 'godwit rollback orders-move --yes'],
  },
  {
    name: 'abort',
    summary: 'undo everything, and end',
    description:
      'Moves the writes back if they have moved, and removes everything that was made, on both sides. Works for a migration whose workflow was terminated, too.',
    waits: 'until everything is undone',
    confirms: true,
    examples: ['godwit abort orders-move --reason "wrong target"', 'godwit abort orders-move --yes --wait'],
  },
];

export function addControlCommands(program: Command, { terminal, finish }: Invocation): void {
  program.commandsGroup('The hand on the wheel:');

  withWait(
    withMessage(
      program
        .command('approve')
        .summary('approve what a gate waits for')
        .description(
          'Approves, as one person, what a gate waits for. It counts for the plan that is current now, and for as long as the specification says.',
        )
        .argument('<id>', 'migration')
        .argument('<gate>', 'gate, as `godwit status` shows it: switch, finalize, switch:database/orders')
        .requiredOption('--confirm <name>', "the migration's name, typed"),
    ),
    'until it ends or needs a person again',
  )
    .addHelpText(
      'after',
      examples(
        'godwit approve orders-move switch --confirm orders-move',
        'godwit approve orders-move finalize --confirm orders-move --reason CHG-1234',
      ),
    )
    .action(async (id: string, gate: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ApproveOptions>();
      finish(await (await import('../commands/approve.js')).approve(terminal, id, gate, options));
    });

  for (const control of CONTROLS) {
    const command = withMessage(
      program
        .command(control.name)
        .summary(control.summary)
        .description(control.description)
        .argument('<id>', 'migration')
        .addOption(unitOption()),
    );
    if (control.waits !== '') withWait(command, control.waits);
    if (control.confirms) command.option('-y, --yes', "don't ask (needed where nobody can answer)");
    command
      .addHelpText('after', examples(...control.examples))
      .action(async (id: string, _options: unknown, self: Command) => {
        const options = self.optsWithGlobals<ControlOptions>();
        if (control.name === 'rehearse') {
          finish(await (await import('../commands/rehearse.js')).rehearse(terminal, id, options));
        } else {
          finish(await (await import('../commands/control.js')).control(terminal, control.name, id, options));
        }
      });
  }

  addTrafficCommands(program, { terminal, finish });

  withMessage(
    program
      .command('set')
      .summary('change a parameter of a running migration')
      .description('Changes parameters of a running migration: rate limits, windows, maxPause and the like.')
      .argument('<id>', 'migration')
      .argument(
        '<path=value...>',
        'what to set, as the specification writes it; an empty value or null takes a limit away',
      ),
  )
    .addHelpText(
      'after',
      examples(
        'godwit set orders-move databases.orders.copy.rateLimit=20MB',
        'godwit set orders-move databases.orders.cutover.maxPause=2s databases.orders.cutover.attempts=5',
      ),
    )
    .action(async (id: string, assignments: string[], _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SetOptions>();
      finish(await (await import('../commands/set.js')).set(terminal, id, assignments, options));
    });
}

function addTrafficCommands(program: Command, { terminal, finish }: Pick<Invocation, 'terminal' | 'finish'>): void {
  withMessage(
    program
      .command('promote')
      .summary('skip the wait of a step of traffic')
      .description(
        'Goes on to the next step of a unit of traffic without waiting for the rest of its hold; also after set-weight, which stays until then. Gates of steps that people approve still wait.',
      )
      .argument('<id>', 'migration')
      .addOption(unitOption())
      .option('--full', 'to 100 %, without the steps between'),
  )
    .addHelpText('after', examples('godwit promote shop-move', 'godwit promote shop-move --unit traffic/web --full'))
    .action(async (id: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<SteerOptions>();
      finish(await (await import('../commands/steer.js')).promote(terminal, id, options));
    });

  withMessage(
    program
      .command('set-weight')
      .summary('give green this share of the traffic')
      .description(
        'Writes a weight of your own, up or down, and stays there until promote. It is judged as every step is; who set it and why is kept.',
      )
      .argument('<id>', 'migration')
      .argument('<percent>', 'share of green, 0 to 100')
      .addOption(unitOption()),
  )
    .addHelpText('after', examples('godwit set-weight shop-move --unit traffic/web 5 --reason "errors in green"'))
    .action(async (id: string, weight: string, _options: unknown, self: Command) => {
      const options = self.optsWithGlobals<SteerOptions>();
      finish(await (await import('../commands/steer.js')).setWeight(terminal, id, weight, options));
    });
}
