import { withTemporal } from '../connection.js';
import { CliError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import { send, whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { duration, fine } from '../output/figures.js';
import { pairs } from '../output/table.js';
import type { SwitchFigures } from '../../spec/status.js';
import type { UnitRef } from '../../spec/units.js';
import type { Colours, Terminal } from '../terminal.js';
import { viewMigration, type MigrationView } from '../view.js';
import { ended, waitFor, type Goal } from '../waiting.js';
import type { ControlOptions } from './control.js';

interface Rehearsal {
  unit: UnitRef;
  figures: SwitchFigures;
  /** `cutover.maxPause` of the specification, in milliseconds. */
  maxPauseMs: number | null;
}

export async function rehearse(terminal: Terminal, id: string, options: ControlOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const before = await viewMigration(temporal, id);
    await send(temporal, id, 'rehearse', {
      by: options.by ?? whoAmI(terminal.env),
      ...(options.unit === undefined ? {} : { unit: options.unit }),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    });
    terminal.note('The rehearsal is on its way; it runs as soon as the copy is complete and has caught up.');
    const goal = rehearsed(before, options.unit);
    const { exitCode, view } = await waitFor(terminal, temporal, id, { goal, since: before });
    if (exitCode === EXIT.failed) {
      const own = view.status.messages.findLast(({ name }) => name === 'rehearse');
      throw new CliError(own?.outcome.replace(/^accepted; /, '') ?? 'the rehearsal came to nothing', {
        next: ['nothing has moved; try again when what is in the way is gone'],
      });
    }
    const found = rehearsals(view, options.unit);
    await print(terminal, options.output, found, () => found.map((one) => text(one, terminal.colours)).join('\n\n'));
    return exitCode;
  });
}

/** Each unit that was asked for has new figures, or said why it has none. */
function rehearsed(before: MigrationView, unit: string | undefined): Goal {
  const wasAt = new Map(before.status.units.map((known) => [known.unit, known.rehearsal?.at ?? null]));
  return (view) => {
    // Only databases have a cutover to rehearse.
    const asked = view.status.units.filter(
      (known) => known.traffic === undefined && (unit === undefined || known.unit === unit),
    );
    if (
      asked.length > 0 &&
      asked.every((known) => known.rehearsal !== null && known.rehearsal.at !== wasAt.get(known.unit))
    ) {
      return EXIT.done;
    }
    const own = view.status.messages.findLast(({ name }) => name === 'rehearse');
    if (own?.outcome.includes('could not be rehearsed') === true) return EXIT.failed;
    return view.status.state === 'needs-attention' ? EXIT.waiting : ended(view);
  };
}

function rehearsals({ status }: MigrationView, unit: string | undefined): Rehearsal[] {
  return status.units.flatMap((known) => {
    if (known.rehearsal === null || (unit !== undefined && known.unit !== unit)) return [];
    const maxPauseMs =
      status.spec?.databases.find((database) => database.unit === known.unit)?.cutover.maxPause ?? null;
    return [{ unit: known.unit, figures: known.rehearsal, maxPauseMs }];
  });
}

function text({ unit, figures, maxPauseMs }: Rehearsal, colours: Colours): string {
  const fits = maxPauseMs === null || figures.pauseMs <= maxPauseMs;
  const limit =
    maxPauseMs === null
      ? ''
      : fits
        ? ` (maxPause ${duration(maxPauseMs)})`
        : ` – more than maxPause, ${duration(maxPauseMs)}`;
  const sentence = `${unit}: the switch will pause writes for about ${fine(figures.pauseMs)}${limit}. It was undone at once; nothing has moved.`;
  const steps = pairs(
    figures.steps.map(({ name, ms }) => [`  ${name}`, fine(ms)]),
    colours,
  );
  return `${fits ? colours.green(sentence) : colours.red(sentence)}\n${steps}`;
}
