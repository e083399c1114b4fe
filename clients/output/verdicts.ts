/** What the judge said of each gate, a line each. */
import type { GateVerdict } from '../../spec/verdict.js';
import type { Colours } from '../terminal.js';

export function verdictLines(verdicts: readonly GateVerdict[], colours: Colours): string[] {
  return verdicts.map(({ gate, decision, explanation }) => {
    const mark = { pass: colours.green('✓'), fail: colours.red('✗'), hold: colours.yellow('…') }[decision];
    return `${mark} ${gate}: ${explanation}`;
  });
}
