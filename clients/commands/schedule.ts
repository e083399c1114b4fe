/** `godwit schedule`: rhythms that Temporal keeps. */
import { withTemporal } from '../connection.js';
import { CliError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { scheduleTable, scheduleText } from '../output/schedule.js';
import { table } from '../output/table.js';
import {
  backfillSchedule,
  listSchedules,
  putSchedule,
  scheduleId,
  showSchedule,
  steerSchedule,
  triggerSchedule,
  type Created,
  type Overlap,
} from '../schedules.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface ScheduleOptions extends GlobalFlags, OutputFlags {}

export interface CreateOptions extends ScheduleOptions {
  paused?: boolean;
  taskQueue: string;
}

export interface TriggerOptions extends GlobalFlags {
  overlap?: Overlap;
}

export interface BackfillOptions extends TriggerOptions {
  /** Milliseconds since the epoch. */
  from: number;
  to?: number;
}

export async function create(terminal: Terminal, file: string, options: CreateOptions): Promise<ExitCode> {
  const specification = await reconciliationOf(terminal, file);
  const { normal } = specification;
  const { taskQueue, paused = false } = options;
  return withTemporal(options, terminal.env, async (temporal) => {
    const made: Created[] = [];
    for (const schedule of normal.schedules) {
      made.push(await putSchedule(temporal, specification, schedule, { taskQueue, paused }));
    }
    const { colours } = terminal;
    await print(terminal, options.output, made, () =>
      table(
        ['SCHEDULE', 'LEVEL', 'STATE', ''],
        made.map(({ id, level, outcome, paused: rests }) => [id, level, rests ? 'paused' : 'active', outcome]),
        colours,
      ),
    );
    const wanted = new Set(normal.schedules.map((schedule) => scheduleId(normal, schedule)));
    for (const { id } of await listSchedules(temporal, normal.name)) {
      if (!wanted.has(id))
        terminal.note(`\`${id}\` is no longer in ${file}, and goes on: godwit schedule delete ${id}`);
    }
    if (normal.checks.business.length === 0 && normal.schedules.some(({ level }) => level === 'business')) {
      terminal.note('The level business has no rules to look at yet: they are written under spec.checks.business.');
    }
    return EXIT.done;
  });
}

export async function list(terminal: Terminal, options: ScheduleOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const schedules = await listSchedules(temporal);
    if (schedules.length === 0 && options.output === 'table') {
      terminal.note('No schedules of reconciliations here: godwit schedule create FILE');
      return EXIT.done;
    }
    const look = { colours: terminal.colours, now: new Date() };
    await print(terminal, options.output, schedules, () => scheduleTable(schedules, look));
    return EXIT.done;
  });
}

export async function show(terminal: Terminal, id: string, options: ScheduleOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const shown = await showSchedule(temporal, id);
    await print(terminal, options.output, shown, () => scheduleText(shown, terminal));
    return EXIT.done;
  });
}

const DONE = { pause: 'paused', resume: 'resumed', delete: 'deleted' } as const;

/** Each of several is done, whatever becomes of the others. */
export async function steer(
  terminal: Terminal,
  what: keyof typeof DONE,
  ids: string[],
  options: GlobalFlags & { reason?: string },
): Promise<ExitCode> {
  const by = whoAmI(terminal.env);
  const note = `${DONE[what]} by ${by}${options.reason === undefined ? '' : `: ${options.reason}`}`;
  return withTemporal(options, terminal.env, async (temporal) => {
    const failed: Error[] = [];
    for (const id of ids) {
      try {
        await steerSchedule(temporal, id, what, note);
        terminal.out(`${terminal.colours.green(DONE[what])}  ${id}`);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        failed.push(error);
      }
    }
    const [first, ...more] = failed;
    for (const error of more) terminal.note(`${terminal.colours.red('error:')} ${error.message}`);
    if (first !== undefined) throw first;
    return EXIT.done;
  });
}

export async function trigger(terminal: Terminal, id: string, options: TriggerOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    await triggerSchedule(temporal, id, options.overlap);
    terminal.out(`${terminal.colours.green('triggered')}  ${id}`);
    terminal.note(`  ${terminal.colours.dim('→')} godwit schedule show ${id}`);
    return EXIT.done;
  });
}

export async function backfill(terminal: Terminal, id: string, options: BackfillOptions): Promise<ExitCode> {
  const { from, to = Date.now(), overlap } = options;
  if (from >= to) throw new CliError('--from must be before --to.', { exitCode: EXIT.badInput });
  return withTemporal(options, terminal.env, async (temporal) => {
    await backfillSchedule(temporal, id, { from, to, overlap });
    const range = `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
    terminal.out(`${terminal.colours.green('started')}  the runs of ${id} from ${range}`);
    return EXIT.done;
  });
}
