import type { Finding } from '../../spec/findings.js';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { findingsText, hasErrors } from '../output/findings.js';
import { runToResult } from '../run-workflow.js';
import { specificationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface PreflightOptions extends GlobalFlags, OutputFlags {
  taskQueue: string;
  id?: string;
}

export async function preflight(terminal: Terminal, file: string, options: PreflightOptions): Promise<ExitCode> {
  const { document, normal } = await specificationOf(terminal, file);
  const findings = await withTemporal(options, terminal.env, (temporal) =>
    runToResult<Finding[]>(temporal, 'preflight', {
      migration: options.id ?? normal.name,
      taskQueue: options.taskQueue,
      document,
    }),
  );
  await print(terminal, options.output, findings, (wide) => findingsText(findings, terminal.colours, wide));
  return hasErrors(findings) ? EXIT.failed : EXIT.done;
}
