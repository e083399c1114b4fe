/** Errors of the command line: one sentence that says what happened, and what to do next. */
import { EXIT, type ExitCode } from './exit.js';
import type { Terminal } from './terminal.js';

export class CliError extends Error {
  override readonly name = 'CliError';
  /** What to do about it; each a sentence or a command. */
  readonly next: readonly string[];
  readonly exitCode: ExitCode;

  constructor(message: string, options: { next?: string[]; exitCode?: ExitCode; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.next = options.next ?? [];
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}

/** The command line was wrong: nothing was begun. */
export class UsageError extends CliError {
  constructor(message: string, next: string[] = []) {
    super(message, { next, exitCode: EXIT.badInput });
  }
}

/** Writes an error for a person; the stack only with GODWIT_DEBUG, since it helps nobody at night. */
export function printError(terminal: Terminal, error: unknown): ExitCode {
  const { red, dim } = terminal.colours;
  const message = error instanceof Error ? error.message : String(error);
  terminal.note(`${red('error:')} ${message}`);
  for (const step of error instanceof CliError ? error.next : []) terminal.note(`  ${dim('→')} ${step}`);
  if ((terminal.env['GODWIT_DEBUG'] ?? '') !== '') {
    terminal.note(dim(error instanceof Error ? stackOf(error) : 'not an Error'));
  } else if (!(error instanceof CliError)) {
    terminal.note(`  ${dim('→')} GODWIT_DEBUG=1 shows where this comes from`);
  }
  return error instanceof CliError ? error.exitCode : EXIT.failed;
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}
