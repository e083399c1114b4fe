import { readFile } from 'node:fs/promises';
import { EXIT, type ExitCode } from '../exit.js';
import type { Terminal } from '../terminal.js';

export async function version(terminal: Terminal): Promise<ExitCode> {
  terminal.out(await packageVersion());
  return EXIT.done;
}

/** Beside the sources or above `dist/`: the package's own file is the one place that knows. */
async function packageVersion(): Promise<string> {
  for (const above of ['../../package.json', '../../../package.json']) {
    const text = await readFile(new URL(above, import.meta.url), 'utf8').catch(() => '{}');
    const found: unknown = JSON.parse(text);
    if (typeof found === 'object' && found !== null && 'version' in found) return String(found.version);
  }
  return 'unknown';
}
