import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags } from '../flags.js';
import { reportMarkdown, reportOf, type Report } from '../output/report.js';
import type { Terminal } from '../terminal.js';
import { viewMigration } from '../view.js';

export interface ReportOptions extends GlobalFlags {
  /** `markdown`, `json`, or a file. */
  output: string;
}

export async function report(terminal: Terminal, id: string, options: ReportOptions): Promise<ExitCode> {
  const evidence = await withTemporal(options, terminal.env, async (temporal) =>
    reportOf(await viewMigration(temporal, id)),
  );
  if (options.output === 'markdown' || options.output === 'json') {
    terminal.out(written(evidence, options.output));
  } else {
    await writeFile(
      options.output,
      `${written(evidence, extname(options.output) === '.json' ? 'json' : 'markdown')}\n`,
    );
    terminal.note(`Wrote ${options.output}.`);
  }
  return EXIT.done;
}

export function written(evidence: Report, format: 'markdown' | 'json'): string {
  return format === 'json' ? JSON.stringify(evidence, null, 2) : reportMarkdown(evidence);
}
