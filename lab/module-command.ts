/** How to run one of our modules in a process of its own: from `dist/` by plain node, from the sources (tests) with tsx. */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Environment variable: folder with all sources as JavaScript, of this very moment. A run of the tests makes one
 * (test/support/transpiled.ts), since with tsx each of its hundred processes would take 2 s to begin.
 */
export const TRANSPILED = 'GODWIT_TRANSPILED';

/**
 * For `fork`.
 * @param from `import.meta.url` of the caller
 * @param module relative, without its ending
 */
export function forkOf(from: string, module: string): { file: string; execArgv: string[] } {
  const sources = from.endsWith('.ts');
  const transpiled = process.env[TRANSPILED];
  const path = (ending: string): string => fileURLToPath(new URL(`${module}${ending}`, from));
  if (!sources) return { file: path('.js'), execArgv: [] };
  if (transpiled !== undefined) return { file: join(transpiled, relative(root, path('.js'))), execArgv: [] };
  return { file: path('.ts'), execArgv: ['--import', 'tsx'] };
}

/** For `spawn`. */
export function moduleCommand(from: string, module: string): { command: string; args: string[] } {
  const { file, execArgv } = forkOf(from, module);
  return { command: process.execPath, args: [...execArgv, file] };
}
