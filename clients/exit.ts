/** What the shell learns from `godwit`: scripts decide by these, so they never change their meaning. */
import type { State } from '../spec/status.js';

export const EXIT = {
  /** What was asked is done. */
  done: 0,
  /** It failed, or differences or errors were found. */
  failed: 1,
  /** The command line or the specification is wrong; nothing was begun. */
  badInput: 2,
  /** It waits for a person. */
  waiting: 3,
  /** It was undone: everything is as it was before. */
  undone: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of a migration or reconciliation that is in this state, once nobody waits for it any longer. */
export function exitCodeOf(state: State): ExitCode {
  switch (state) {
    case 'migrated':
    case 'done':
    case 'running':
    case 'undoing':
      return EXIT.done;
    case 'failed':
    case 'aborted':
      return EXIT.failed;
    case 'paused':
    case 'awaiting-approval':
    case 'needs-attention':
    case 'rolled-back':
      return EXIT.waiting;
    case 'undone':
      return EXIT.undone;
  }
}
