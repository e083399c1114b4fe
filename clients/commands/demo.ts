import { EXIT, type ExitCode } from '../exit.js';
import { runDemo } from '../demo.js';
import type { Terminal } from '../terminal.js';

export interface DemoOptions {
  output: 'table' | 'json';
  /** Leave the lab running afterwards. */
  keep?: boolean;
}

export async function demo(terminal: Terminal, options: DemoOptions): Promise<ExitCode> {
  const held = await runDemo(terminal, { json: options.output === 'json', keep: options.keep === true });
  return held ? EXIT.done : EXIT.failed;
}
