#!/usr/bin/env node
/** The `godwit` command. `run` is the whole of it, for tests and for the demo, which drives the same code. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { printError } from './errors.js';
import { EXIT, type ExitCode } from './exit.js';
import { godwit } from './program.js';
import { processTerminal, type Terminal } from './terminal.js';

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

function isEntry(): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url);
}

if (isEntry()) process.exitCode = await run(process.argv.slice(2), processTerminal());
