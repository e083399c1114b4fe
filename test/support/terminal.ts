/** A terminal that keeps what is written, and answers as the test says. */
import picocolors from 'picocolors';
import type { Terminal } from '../../clients/terminal.js';

export interface CapturedTerminal extends Terminal {
  /** All of stdout and stderr so far. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureOptions {
  /** What stdin holds. */
  input?: string;
  /** What a person types at each question; absent: nobody is there. */
  answers?: string[];
  env?: NodeJS.ProcessEnv;
  interrupt?: AbortSignal;
}

export function captureTerminal(options: CaptureOptions = {}): CapturedTerminal {
  const written = { stdout: '', stderr: '' };
  const answers = [...(options.answers ?? [])];
  return {
    get stdout() {
      return written.stdout;
    },
    get stderr() {
      return written.stderr;
    },
    out: (text) => void (written.stdout += `${text}\n`),
    note: (text) => void (written.stderr += `${text}\n`),
    interactive: options.answers !== undefined,
    columns: 100,
    rows: 40,
    colours: picocolors.createColors(false),
    env: options.env ?? {},
    readInput: () => Promise.resolve(options.input ?? ''),
    ask: (question) => {
      written.stderr += question;
      return Promise.resolve(answers.shift() ?? '');
    },
    interrupt: () => options.interrupt ?? new AbortController().signal,
  };
}
