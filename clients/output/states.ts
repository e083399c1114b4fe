/** States in the colour that says whether someone must do something. */
import type { UnitStatus, State } from '../../spec/status.js';
import type { Colours } from '../terminal.js';

export function paintState(state: string, colours: Colours): string {
  switch (state as State | UnitStatus['state']) {
    case 'migrated':
    case 'done':
      return colours.green(state);
    case 'awaiting-approval':
    case 'paused':
    case 'rolled-back':
    case 'undoing':
      return colours.yellow(state);
    case 'needs-attention':
    case 'failed':
      return colours.red(state);
    case 'running':
      return colours.cyan(state);
    case 'undone':
    case 'aborted':
    case 'pending':
      return state;
    // Temporal's own words for a workflow that is gone.
    default:
      return colours.red(state);
  }
}
