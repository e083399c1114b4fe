/** `run` is the whole of the `godwit` command, for the entry point, for tests, and for the demo, which drives the same code. */
import { CommanderError } from 'commander';
import { printError } from './errors.js';
import { EXIT, type ExitCode } from './exit.js';
import { godwit } from './program.js';
import type { Terminal } from './terminal.js';

/** @param words what stands after `godwit` on the command line */
export async function run(words: string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const program = godwit({ terminal, finish: (code) => (exitCode = code) });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what is wrong; asking for help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.badInput;
    return printError(terminal, error);
  }
}
