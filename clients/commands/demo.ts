import { EXIT, type ExitCode } from '../exit.js';
import { runDemo } from '../demo.js';
import type { Terminal } from '../terminal.js';

export interface DemoOptions {
  output: 'table' | 'json';
  /** Leave the lab running afterwards. */
  keep?: boolean;
  badGreen?: boolean;
}

export async function demo(terminal: Terminal, options: DemoOptions): Promise<ExitCode> {
  const { output, keep = false, badGreen = false } = options;
  const held = await runDemo(terminal, { json: output === 'json', keep, badGreen });
  return held ? EXIT.done : EXIT.failed;
}
