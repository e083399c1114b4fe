import { readFile } from 'node:fs/promises';
import { isIntactRunCertificate } from '../../activities/reconciliation/certificate.js';
import { UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import type { Terminal } from '../terminal.js';

export async function verify(terminal: Terminal, file: string, { output }: OutputFlags): Promise<ExitCode> {
  const certificate = certificateIn(file, file === '-' ? await terminal.readInput() : await textOf(file));
  const intact = isIntactRunCertificate(certificate);
  const { green, red } = terminal.colours;
  const { run, verdict, at, lsn, digest } = certificate;
  await print(terminal, output, { intact, run, verdict, at, lsn, digest }, () =>
    intact
      ? `${green('intact')}  ${shown(verdict)} at ${shown(at)}${lsn === null ? '' : `, LSN ${shown(lsn)}`} (run ${shown(run)}, ${shown(digest)})`
      : `${red('changed')}  this is not what the run has written: its digest is another one`,
  );
  return intact ? EXIT.done : EXIT.failed;
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : 'unknown');

function certificateIn(file: string, text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw noCertificate(file);
  }
  if (typeof json !== 'object' || json === null || !('digest' in json) || !('verdict' in json))
    throw noCertificate(file);
  return { ...json };
}

function noCertificate(file: string): UsageError {
  return new UsageError(`${file} is no certificate of a reconciliation.`, [
    'godwit reconcile certificate FILE RUN -o certificate.json',
  ]);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`can't read ${file}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}.`);
  }
}
