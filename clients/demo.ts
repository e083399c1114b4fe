/** The demo: the lab, load, a real migration through the real CLI, there and back and there, and the proof. */
import { CliError } from './errors.js';
import type { Terminal } from './terminal.js';

export interface DemoSettings {
  json: boolean;
  /** Leave the lab running. */
  keep: boolean;
}

/** Answers whether every promise held. */
export function runDemo(terminal: Terminal, settings: DemoSettings): Promise<boolean> {
  terminal.note(`demo with ${JSON.stringify(settings)}`);
  return Promise.reject(new CliError('the demo is not part of this build.'));
}
