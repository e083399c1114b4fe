/** Reports and certificates of runs, read from the target by this process. */
import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { certificatePage } from '../../activities/reconciliation/certificate.js';
import { keptCertificate } from '../../activities/reconciliation/kept-certificate.js';
import { dailySummary, htmlReport, markdownReport, runReport } from '../../activities/reconciliation/report/index.js';
import { readingDatabases } from '../databases.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface CertificateOptions {
  /** A format, or a file. */
  output: string;
}

export interface ReconcileReportOptions extends CertificateOptions {
  /** As in 2026-05-01. */
  day?: string;
}

const FORMATS = ['markdown', 'html', 'json'] as const;
type ReportFormat = (typeof FORMATS)[number];

const BY_EXTENSION: Record<string, ReportFormat> = { '.html': 'html', '.htm': 'html', '.json': 'json' };

export async function reconcileReport(
  terminal: Terminal,
  file: string,
  run: string | undefined,
  { output, day }: ReconcileReportOptions,
): Promise<ExitCode> {
  const { normal } = await reconciliationOf(terminal, file);
  const format = formatOf(output);
  if (day !== undefined) {
    if (run !== undefined || format !== 'markdown') {
      throw new UsageError('the summary of a day is of all its runs, in markdown.', [
        `godwit reconcile report ${file} --day ${day}`,
      ]);
    }
    return written(terminal, output, await readingDatabases(() => dailySummary(normal, day)));
  }
  const report = await readingDatabases(() => runReport(normal, run ?? null));
  const text = {
    markdown: () => markdownReport(report),
    html: () => htmlReport(report),
    json: () => JSON.stringify(report, null, 2),
  }[format]();
  return written(terminal, output, text);
}

export async function certificate(
  terminal: Terminal,
  file: string,
  run: string | undefined,
  { output }: CertificateOptions,
): Promise<ExitCode> {
  const { normal } = await reconciliationOf(terminal, file);
  const kept = await readingDatabases(() => keptCertificate(normal, run ?? null));
  const page = output === 'markdown' || extname(output) === '.md';
  return written(terminal, output, page ? certificatePage(kept) : JSON.stringify(kept, null, 2));
}

function formatOf(output: string): ReportFormat {
  return FORMATS.find((format) => format === output) ?? BY_EXTENSION[extname(output)] ?? 'markdown';
}

/** To stdout for a format, to a file for anything else. */
async function written(terminal: Terminal, output: string, text: string): Promise<ExitCode> {
  if (FORMATS.some((format) => format === output)) {
    terminal.out(text.trimEnd());
  } else {
    await writeFile(output, `${text.trimEnd()}\n`);
    terminal.note(`Wrote ${output}.`);
  }
  return EXIT.done;
}
