/** Reconciliations: reconcile, review, schedule. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { LEVELS } from '../../spec/reconciliation.js';
import type { ForgetOptions } from '../commands/reconcile-forget.js';
import type { ReconcileListOptions } from '../commands/reconcile-list.js';
import type { CertificateOptions, ReconcileReportOptions } from '../commands/reconcile-report.js';
import type { RepairOptions, UndoOptions } from '../commands/reconcile-repair.js';
import type { ReconcileStatusOptions } from '../commands/reconcile-status.js';
import type { ReconcileOptions } from '../commands/reconcile.js';
import type { DecideOptions, ReviewListOptions, ReviewShowOptions } from '../commands/review.js';
import type { BackfillOptions, CreateOptions, ScheduleOptions, TriggerOptions } from '../commands/schedule.js';
import type { Invocation } from '../program.js';
import {
  durationArgument,
  examples,
  outputOption,
  outputOrFileOption,
  timeArgument,
  wholeNumber,
  workflowQueueOption,
} from './options.js';

const FILE = 'specification of kind Reconciliation, YAML or JSON; - reads it from stdin';
const READS = 'Reads the databases itself, so it needs the same secrets as a worker.';

export function addReconcilingCommands(program: Command, invocation: Invocation): void {
  program.commandsGroup('Comparing, and mending:');
  addReconcile(program, invocation);
  addReview(program, invocation);
  addSchedule(program, invocation);
}

function addReconcile(program: Command, { terminal, finish }: Invocation): void {
  const reconcile = program
    .command('reconcile')
    .summary('compare two databases, and mend what differs')
    .description(
      'Compares two databases to the row, under live writes, with or without a migration; says what differs, mends it, and takes that back. `godwit reconcile FILE` is short for `godwit reconcile run FILE`.',
    )
    .addHelpText(
      'after',
      examples(
        'godwit reconcile shop.yaml',
        'godwit reconcile status shop.yaml',
        'godwit reconcile report shop.yaml -o run.html',
        'godwit reconcile repair shop.yaml RUN --all --dry-run',
      ),
    );

  reconcile
    .command('run', { isDefault: true })
    .summary('compare, and say what differs')
    .description(
      'Starts a run and waits for it. Workers do the comparing; what needs a person goes to the review queue, in the target. Pause, resume, abort and retry it by its id, as a migration.',
    )
    .argument('<file>', FILE)
    .addOption(
      new Option('--level <level>', "how closely to look (default: the specification's level)").choices(LEVELS),
    )
    .option('--table <pattern...>', 'only these tables, such as those that replication has missed rows of')
    .option('--where <condition>', 'only rows of --table for which this SQL holds: a range of keys, or of times')
    .option('--full', 'all rows, even where the specification says incremental')
    .option('--id <id>', 'workflow id of this run (default: NAME-LEVEL-…)')
    .option('--no-wait', 'only start it')
    .addOption(
      new Option('--timeout <duration>', 'stop waiting after this long (90s, 2h); the run goes on').argParser(
        durationArgument,
      ),
    )
    .addOption(outputOption())
    .addOption(workflowQueueOption())
    .addHelpText(
      'after',
      `${examples(
        'godwit reconcile shop.yaml',
        'godwit reconcile shop.yaml --level quick -o json | jq .verdict',
        'godwit reconcile shop.yaml --level deep --no-wait',
        `godwit reconcile shop.yaml --table public.orders --where "id between 7000 and 8000"`,
      )}\n\nExit codes: 0 equal, or all that differed is mended or accepted; 1 differences remain, not everything could be compared,\nor it failed; 2 the specification is wrong; 3 it waits for a person.`,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReconcileOptions>();
      finish(await (await import('../commands/reconcile.js')).reconcile(terminal, file, options));
    });

  reconcile
    .command('status')
    .summary('what runs, what was found, what waits')
    .description(
      `Shows the newest runs of one reconciliation, its schedules, and what waits for a person. ${READS} Without them it shows what Temporal knows.`,
    )
    .argument('<file>', FILE)
    .addOption(new Option('--limit <n>', 'the newest so many runs').argParser(wholeNumber).default(10))
    .addOption(outputOption())
    .addHelpText('after', examples('godwit reconcile status shop.yaml', 'godwit reconcile status shop.yaml -o json'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReconcileStatusOptions>();
      finish(await (await import('../commands/reconcile-status.js')).reconcileStatus(terminal, file, options));
    });

  reconcile
    .command('list')
    .summary('list runs')
    .description('Lists the runs of all reconciliations of this namespace, newest first, with what they found.')
    .option('--running', 'only those that go on')
    .addOption(new Option('--limit <n>', 'the newest so many').argParser(wholeNumber).default(20))
    .addOption(outputOption())
    .addHelpText('after', examples('godwit reconcile list', 'godwit reconcile list --running -o json | jq .[].id'))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReconcileListOptions>();
      finish(await (await import('../commands/reconcile-list.js')).reconcileList(terminal, options));
    });

  reconcile
    .command('report')
    .summary('write what a run found')
    .description(`Writes the report of a run, or of a day: per table rows, differences, time, and the trend. ${READS}`)
    .argument('<file>', FILE)
    .argument('[run]', 'run (default: the newest that has ended)')
    .addOption(
      new Option('--day <date>', 'the summary of a day instead, 2026-05-01 in UTC').argParser((text) => {
        if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(Date.parse(text))) {
          throw new InvalidArgumentError('Expected a day such as 2026-05-01.');
        }
        return text;
      }),
    )
    .addOption(outputOrFileOption('markdown, html or json', 'markdown'))
    .addHelpText(
      'after',
      examples(
        'godwit reconcile report shop.yaml',
        'godwit reconcile report shop.yaml RUN -o run.html',
        'godwit reconcile report shop.yaml --day 2026-05-01',
      ),
    )
    .action(async (file: string, run: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReconcileReportOptions>();
      finish(await (await import('../commands/reconcile-report.js')).reconcileReport(terminal, file, run, options));
    });

  reconcile
    .command('certificate')
    .summary('write the certificate of a run')
    .description(
      `Writes the certificate of a run: what was compared, how, at which LSN and time, and what was found, with a digest of itself. ${READS}`,
    )
    .argument('<file>', FILE)
    .argument('[run]', 'run (default: the newest that has ended)')
    .addOption(outputOrFileOption('json or markdown', 'json'))
    .addHelpText(
      'after',
      examples(
        'godwit reconcile certificate shop.yaml -o certificate.json',
        'godwit reconcile certificate shop.yaml RUN -o certificate.md',
      ),
    )
    .action(async (file: string, run: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<CertificateOptions>();
      finish(await (await import('../commands/reconcile-report.js')).certificate(terminal, file, run, options));
    });

  reconcile
    .command('verify')
    .summary('check a certificate against its own digest')
    .description('Checks that a certificate is as its run has written it. Asks no server.')
    .argument('<certificate>', 'certificate as JSON; - reads it from stdin')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `${examples('godwit reconcile verify certificate.json')}\n\nExit codes: 0 it is intact, 1 it was changed, 2 it is no certificate.`,
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReconcileListOptions>();
      finish(await (await import('../commands/reconcile-verify.js')).verify(terminal, file, options));
    });

  reconcile
    .command('repair')
    .summary('mend what a run has found')
    .description(
      'Mends what people decided to repair, or all that a run has found; each row is read again under lock, and left as it is if it changed since. Deletes no row unless told to. --dry-run prints the statements, and changes nothing; it reads the databases itself, so it needs the same secrets as a worker.',
    )
    .argument('<file>', FILE)
    .argument('<run>', 'run whose findings are mended, as `godwit reconcile list -o wide` shows it')
    .option(
      '--all',
      'every finding that can be mended but those accepted or rejected in the review, not only those decided',
    )
    .option('--delete', 'rows that should not be there, too')
    .option('--dry-run', 'only print the statements')
    .option('--confirm <name>', "the reconciliation's name, typed; needed without --dry-run")
    .option('--by <person>', 'who asks (default: USER@HOST)')
    .addOption(outputOption())
    .addOption(workflowQueueOption())
    .addHelpText(
      'after',
      examples(
        'godwit reconcile repair shop.yaml RUN --all --dry-run',
        'godwit reconcile repair shop.yaml RUN --all --confirm shop',
        'godwit reconcile repair shop.yaml RUN --confirm shop        what was decided in the review',
      ),
    )
    .action(async (file: string, run: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<RepairOptions>();
      finish(await (await import('../commands/reconcile-repair.js')).repair(terminal, file, run, options));
    });

  reconcile
    .command('undo')
    .summary('take a repair back')
    .description('Restores the rows that a repair changed, but for those that somebody changed since.')
    .argument('<file>', FILE)
    .argument('<repair>', 'repair, as it was named when it was made')
    .option('--by <person>', 'who asks (default: USER@HOST)')
    .addOption(outputOption())
    .addOption(workflowQueueOption())
    .addHelpText('after', examples('godwit reconcile undo shop.yaml REPAIR'))
    .action(async (file: string, repair: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<UndoOptions>();
      finish(await (await import('../commands/reconcile-repair.js')).undo(terminal, file, repair, options));
    });

  reconcile
    .command('forget')
    .summary('remove what a reconciliation left on the databases')
    .description(
      'Drops the slots of incremental runs, which hold back WAL, and removes its runs, findings and audit from the schema godwit of the target. Delete its schedules first.',
    )
    .argument('<file>', FILE)
    .requiredOption('--confirm <name>', "the reconciliation's name, typed")
    .addOption(outputOption())
    .addOption(workflowQueueOption())
    .addHelpText('after', examples('godwit reconcile forget shop.yaml --confirm shop'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ForgetOptions>();
      finish(await (await import('../commands/reconcile-forget.js')).forget(terminal, file, options));
    });
}

function addReview(program: Command, { terminal, finish }: Invocation): void {
  const review = program
    .command('review')
    .summary('decide what waits for a person')
    .description(`What reconciliations have put aside for a person: list, show, accept, reject, repair. ${READS}`)
    .addHelpText('after', examples('godwit review list -f shop.yaml', 'godwit review show -f shop.yaml 17'));
  const fileOption = (): Option => new Option('-f, --file <file>', FILE).makeOptionMandatory();

  review
    .command('list')
    .summary('list what waits')
    .description('Lists what waits, oldest first; keys of rows are shown, their other columns are not.')
    .addOption(fileOption())
    .option('-a, --all', 'what was decided, too')
    .addOption(outputOption())
    .addHelpText('after', examples('godwit review list -f shop.yaml', 'godwit review list -f shop.yaml --all -o json'))
    .action(async (options: ReviewListOptions) => {
      finish(await (await import('../commands/review.js')).reviewList(terminal, options));
    });

  review
    .command('show')
    .summary('show both versions of a row, side by side')
    .description('Shows one item: why it waits, and the row as it is now on both sides. Masked columns stay hidden.')
    .argument('<id>', 'item, as `godwit review list` shows it', itemArgument)
    .addOption(fileOption())
    .addOption(outputOption())
    .addHelpText('after', examples('godwit review show -f shop.yaml 17'))
    .action(async (id: string, options: ReviewShowOptions) => {
      finish(await (await import('../commands/review.js')).reviewShow(terminal, id, options));
    });

  const DECISIONS = {
    accept:
      'the difference may stay: while it stays as it is, it no longer remains, nobody is asked again, and no repair mends it',
    reject: 'it is wrong, and is not repaired now',
    repair: 'it is to be repaired: the next `godwit reconcile repair` does it',
  } as const;
  for (const [decision, meaning] of Object.entries(DECISIONS) as [keyof typeof DECISIONS, string][]) {
    review
      .command(decision)
      .summary(meaning.replace(/:.*/, ''))
      .description(`Decides: ${meaning}. Who and why is kept.`)
      .argument('<id...>', 'items, as `godwit review list` shows them', itemsArgument)
      .addOption(fileOption())
      .option('--by <person>', 'who decides (default: USER@HOST)')
      .option('--reason <text>', 'why')
      .addOption(outputOption())
      .addHelpText('after', examples(`godwit review ${decision} -f shop.yaml 17 18 --reason "agreed with billing"`))
      .action(async (ids: string[], options: DecideOptions) => {
        finish(await (await import('../commands/review.js')).decide(terminal, decision, ids, options));
      });
  }
}

function addSchedule(program: Command, { terminal, finish }: Invocation): void {
  const schedule = program
    .command('schedule')
    .summary('reconcile at a rhythm')
    .description(
      'Schedules of reconciliations, kept by Temporal: create, list, show, pause, resume, trigger, backfill, delete. Those that `temporal schedule create` made are shown and steered alike.',
    )
    .addHelpText('after', examples('godwit schedule create shop.yaml', 'godwit schedule list'));

  schedule
    .command('create')
    .summary('make, or bring up to date, the schedules of a file')
    .description(
      'Makes a schedule NAME-RHYTHM for each rhythm of the specification: by default quick every 15 min, comprehensive every 4 h, deep daily at 02:00 and business Sundays at 03:00, UTC. Those that are there take the specification as it is now, and stay paused if they are. The file itself travels with them, so change it and create again.',
    )
    .argument('<file>', FILE)
    .option('--paused', 'begin paused')
    .addOption(outputOption())
    .addOption(workflowQueueOption())
    .addHelpText('after', examples('godwit schedule create shop.yaml', 'godwit schedule create shop.yaml --paused'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<CreateOptions>();
      finish(await (await import('../commands/schedule.js')).create(terminal, file, options));
    });

  schedule
    .command('list')
    .summary('list schedules')
    .description('Lists the schedules that start reconciliations, with their next run and the outcome of the last.')
    .addOption(outputOption())
    .addHelpText('after', examples('godwit schedule list', 'godwit schedule list -o json | jq .[].id'))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ScheduleOptions>();
      finish(await (await import('../commands/schedule.js')).list(terminal, options));
    });

  schedule
    .command('show')
    .summary('show a schedule with its last and next runs')
    .description('Shows rhythm, policies, the next runs, and what the last ones came to.')
    .argument('<schedule>', 'schedule, as `godwit schedule list` shows it')
    .addOption(outputOption())
    .addHelpText('after', examples('godwit schedule show shop-quick'))
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ScheduleOptions>();
      finish(await (await import('../commands/schedule.js')).show(terminal, id, options));
    });

  const STEERED = {
    pause: 'start no more runs; what runs goes on',
    resume: 'start runs again',
    delete: 'remove it; what runs goes on, and what was found stays',
  } as const;
  for (const [what, meaning] of Object.entries(STEERED) as [keyof typeof STEERED, string][]) {
    const command = schedule
      .command(what)
      .summary(meaning.replace(/;.*/, ''))
      .description(`${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}.`)
      .argument('<schedule...>', 'schedules, as `godwit schedule list` shows them');
    if (what !== 'delete') command.option('--reason <text>', 'why: shown beside the schedule');
    command
      .addHelpText(
        'after',
        examples(`godwit schedule ${what} shop-quick`, `godwit schedule ${what} shop-quick shop-deep`),
      )
      .action(async (ids: string[], _options: unknown, self: Command) => {
        const options = self.optsWithGlobals<ScheduleOptions & { reason?: string }>();
        finish(await (await import('../commands/schedule.js')).steer(terminal, what, ids, options));
      });
  }

  const OVERLAPS = ['skip', 'buffer-one', 'buffer-all'] as const;
  schedule
    .command('trigger')
    .summary('start a run now')
    .description('Starts a run now, as the schedule would, also while it is paused. Its overlap policy counts.')
    .argument('<schedule>', 'schedule, as `godwit schedule list` shows it')
    .addOption(new Option('--overlap <policy>', 'when one goes on already').choices(OVERLAPS))
    .addHelpText('after', examples('godwit schedule trigger shop-deep'))
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<TriggerOptions>();
      finish(await (await import('../commands/schedule.js')).trigger(terminal, id, options));
    });

  schedule
    .command('backfill')
    .summary('start the runs of a time that has passed')
    .description(
      'Starts the runs that the schedule had between two times, as after a long outage. Each compares what there is now; with the overlap policy skip one is enough to make up for all.',
    )
    .argument('<schedule>', 'schedule, as `godwit schedule list` shows it')
    .requiredOption('--from <time>', '2026-05-01T22:00:00Z, or how long ago, 6h', timeArgument)
    .addOption(
      new Option('--to <time>', '2026-05-02T06:00:00Z, or how long ago (default: now)').argParser(timeArgument),
    )
    .addOption(new Option('--overlap <policy>', 'when one goes on already').choices(OVERLAPS))
    .addHelpText('after', examples('godwit schedule backfill shop-deep --from 3d --overlap buffer-all'))
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<BackfillOptions>();
      finish(await (await import('../commands/schedule.js')).backfill(terminal, id, options));
    });
}

function itemArgument(text: string): string {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Expected the number of an item.');
  return text;
}

function itemsArgument(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), itemArgument(text)];
}
