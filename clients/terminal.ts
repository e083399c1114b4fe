/** Where a command writes and what it may ask: the process's own streams, or a test's. */
import { createInterface } from 'node:readline/promises';
import { text as readAll } from 'node:stream/consumers';
import picocolors from 'picocolors';

export type Colours = ReturnType<typeof picocolors.createColors>;

export interface Terminal {
  /** One or more lines of the answer, to stdout. */
  out(text: string): void;
  /** Progress, hints and errors, to stderr, so that they never mix with an answer that is piped on. */
  note(text: string): void;
  /** A person sits at both ends, so a question will be answered and a screen may be redrawn. */
  readonly interactive: boolean;
  /** As they are now: people pull at their windows. */
  readonly columns: number;
  readonly rows: number;
  readonly colours: Colours;
  readonly env: NodeJS.ProcessEnv;
  readInput(): Promise<string>;
  ask(question: string): Promise<string>;
  /** Aborted by Ctrl-C or SIGTERM: commands that look on end, and the migration goes on without them. */
  interrupt(): AbortSignal;
}

/** https://no-color.org: any value but the empty one turns colours off. */
export function wantsColour(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '0') !== '0') return true;
  return isTerminal && env['TERM'] !== 'dumb';
}

/** Shows nothing and asks nobody: for those who only want to know the commands. */
export function mutedTerminal(): Terminal {
  return {
    out: () => undefined,
    note: () => undefined,
    interactive: false,
    columns: 100,
    rows: 40,
    colours: picocolors.createColors(false),
    env: {},
    readInput: () => Promise.resolve(''),
    ask: () => Promise.resolve(''),
    interrupt: () => new AbortController().signal,
  };
}

export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  // `godwit list | head -1` closes our output while we write: that is no error.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    out: (text) => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    interactive: stdin.isTTY && stdout.isTTY,
    get columns() {
      return stdout.columns || 100;
    },
    get rows() {
      return stdout.rows || 40;
    },
    colours: picocolors.createColors(wantsColour(env, stdout.isTTY)),
    env,
    readInput: () => readAll(stdin),
    ask: async (question) => {
      const prompt = createInterface({ input: stdin, output: stderr });
      try {
        return await prompt.question(question);
      } finally {
        prompt.close();
      }
    },
    interrupt: () => {
      const controller = new AbortController();
      // Not once: a listener that is gone makes others think that nobody handles the signal, and end the process with it.
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort());
      return controller.signal;
    },
  };
}
