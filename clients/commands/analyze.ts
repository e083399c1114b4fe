import { gatesToJudge, type Analysis } from '../../spec/analysis.js';
import { withTemporal } from '../connection.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { verdictLines } from '../output/verdicts.js';
import { indented } from '../output/table.js';
import { runToResult } from '../run-workflow.js';
import { specificationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface AnalyzeOptions extends GlobalFlags, OutputFlags {
  taskQueue: string;
  /** Milliseconds since the epoch. */
  at?: number;
  since?: number;
  unit?: string;
  /** Percent. */
  step?: number;
}

export async function analyze(terminal: Terminal, file: string, options: AnalyzeOptions): Promise<ExitCode> {
  const { document, normal } = await specificationOf(terminal, file);
  const { at, since, unit, step } = options;
  const chosen = gatesToJudge(normal, { unit: unit ?? null, step: step ?? null });
  if (!chosen.ok) throw new UsageError(`${chosen.error}.`);
  const analysis = await withTemporal(options, terminal.env, (temporal) =>
    runToResult<Analysis>(temporal, 'analyze', {
      migration: normal.name,
      taskQueue: options.taskQueue,
      document,
      ...(at === undefined ? {} : { at }),
      ...(since === undefined ? {} : { since }),
      ...(unit === undefined ? {} : { unit }),
      ...(step === undefined ? {} : { step }),
    }),
  );
  await print(terminal, options.output, analysis, () => analysisText(terminal, analysis));
  return { pass: EXIT.done, fail: EXIT.failed, hold: EXIT.waiting }[analysis.overall];
}

function analysisText({ colours }: Terminal, { overall, at, since, places }: Analysis): string {
  const paint = { pass: colours.green, fail: colours.red, hold: colours.yellow }[overall];
  const parts = places.map(({ unit, place, verdicts }) =>
    [`${colours.bold(unit)}  ${place}`, ...verdictLines(verdicts, colours).map((line) => indented(line))].join('\n'),
  );
  return [`${paint(overall)}  ${colours.dim(`at ${at}, since ${since}`)}`, ...parts].join('\n\n');
}
