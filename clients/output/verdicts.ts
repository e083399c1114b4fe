/** What the judge said of each gate, a line each. */
import type { Series } from '../../spec/recent.js';
import type { GateVerdict } from '../../spec/verdict.js';
import type { Colours } from '../terminal.js';
import { sparkline } from './sparkline.js';

export function verdictLines(
  verdicts: readonly GateVerdict[],
  colours: Colours,
  recent: readonly Series[] = [],
): string[] {
  return verdicts.map((verdict) =>
    verdictLine(
      verdict,
      recent.find(({ name }) => name === verdict.gate),
      colours,
    ),
  );
}

export function verdictLine(
  { gate, decision, explanation }: Pick<GateVerdict, 'gate' | 'decision' | 'explanation'>,
  series: Series | undefined,
  colours: Colours,
): string {
  const mark = { pass: colours.green('✓'), fail: colours.red('✗'), hold: colours.yellow('…') }[decision];
  // One look alone shows no direction.
  const way =
    series === undefined || series.values.length < 2 ? '' : ` ${colours.cyan(sparkline(series.values, series.limit))}`;
  return `${mark} ${gate}:${way} ${explanation}`;
}
