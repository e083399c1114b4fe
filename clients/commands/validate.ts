import { unitsOf } from '../../spec/normal.js';
import { pathText } from '../../spec/problems.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import { problemsText, readSpecification, type Specification } from '../specification.js';
import type { Terminal } from '../terminal.js';

export type ValidateOptions = OutputFlags;

export async function validate(terminal: Terminal, file: string, { output }: ValidateOptions): Promise<ExitCode> {
  const read = await readSpecification(terminal, file);
  const { red, green } = terminal.colours;
  if (read.ok) {
    await print(terminal, output, read.normal, () => `${green('ok')}  ${summary(read)}`);
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

function summary({ normal }: Specification): string {
  const gates = normal.gates.filter(({ approvals }) => approvals > 0).map(({ id }) => id);
  const units = unitsOf(normal).map(({ unit }) => unit);
  const waits = gates.length === 0 ? 'no gate waits for a person' : `gates: ${gates.join(', ')}`;
  return `migration ${normal.name}, ${plural(units.length, 'unit')} (${units.join(', ')}), ${waits}`;
}
