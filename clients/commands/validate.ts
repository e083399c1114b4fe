import { formatDuration } from '../../spec/duration.js';
import type { AnyNormal } from '../../spec/load.js';
import { unitsOf, type NormalMigration } from '../../spec/normal.js';
import { pathText } from '../../spec/problems.js';
import type { NormalReconciliation, NormalSchedule } from '../../spec/reconciliation.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import { problemsText, readSpecification } from '../specification.js';
import type { Terminal } from '../terminal.js';

export type ValidateOptions = OutputFlags;

export async function validate(terminal: Terminal, file: string, { output }: ValidateOptions): Promise<ExitCode> {
  const read = await readSpecification(terminal, file);
  const { red, green } = terminal.colours;
  if (read.ok) {
    const { normal } = read;
    const made = normal.kind === 'Migration' ? normal.migration : normal.reconciliation;
    await print(terminal, output, made, () => `${green('ok')}  ${summary(normal)}`);
    return EXIT.done;
  }
  if (output === 'json' || output === 'yaml') {
    const problems = read.problems.map(({ line, column, path, message }) => {
      return { file: read.file, line, column, path: pathText(path), message };
    });
    await print(terminal, output, problems, () => '');
  } else {
    terminal.note(`${red('error:')} ${problemsText(read.file, read.problems)}`);
  }
  return EXIT.badInput;
}

function summary(normal: AnyNormal): string {
  return normal.kind === 'Migration' ? ofMigration(normal.migration) : ofReconciliation(normal.reconciliation);
}

function ofMigration(normal: NormalMigration): string {
  const gates = normal.gates.filter(({ approvals }) => approvals > 0).map(({ id }) => id);
  const units = unitsOf(normal).map(({ unit }) => unit);
  const waits = gates.length === 0 ? 'no gate waits for a person' : `gates: ${gates.join(', ')}`;
  return `migration ${normal.name}, ${plural(units.length, 'unit')} (${units.join(', ')}), ${waits}`;
}

function ofReconciliation({ name, level, schedules }: NormalReconciliation): string {
  const rhythms = schedules.map((schedule) => `${schedule.name} ${rhythm(schedule)}`);
  return `reconciliation ${name}, ${level}; ${rhythms.length === 0 ? 'no schedules' : `schedules: ${rhythms.join(', ')}`}`;
}

function rhythm({ every, cron }: NormalSchedule): string {
  return every === null ? `at ${cron ?? ''}` : `every ${formatDuration(every)}`;
}
