/** How to run one of our modules in a process of its own: from `dist/` by plain node, from the sources (tests) with tsx. */
import { fileURLToPath } from 'node:url';

/**
 * For `fork`.
 * @param from `import.meta.url` of the caller
 * @param module relative, without its ending
 */
export function forkOf(from: string, module: string): { file: string; execArgv: string[] } {
  const compiled = !from.endsWith('.ts');
  const file = fileURLToPath(new URL(`${module}${compiled ? '.js' : '.ts'}`, from));
  return { file, execArgv: compiled ? [] : ['--import', 'tsx'] };
}

/** For `spawn`. */
export function moduleCommand(from: string, module: string): { command: string; args: string[] } {
  const { file, execArgv } = forkOf(from, module);
  return { command: process.execPath, args: [...execArgv, file] };
}
