import type { State } from '../../spec/status.js';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { listMigrations } from '../migrations.js';
import { print } from '../output/document.js';
import { listText } from '../output/list.js';
import type { Terminal } from '../terminal.js';

export interface ListOptions extends GlobalFlags, OutputFlags {
  all?: boolean;
  state?: State;
  limit: number;
}

export async function list(terminal: Terminal, options: ListOptions): Promise<ExitCode> {
  const { limit, all = false, state } = options;
  return withTemporal(options, terminal.env, async (temporal) => {
    const found = await listMigrations(temporal, { limit, all, ...(state === undefined ? {} : { state }) });
    if (found.length === 0 && options.output === 'table') {
      terminal.note(all ? 'No migrations here.' : 'No migrations run here; --all shows ended ones.');
      return EXIT.done;
    }
    const { colours } = terminal;
    await print(terminal, options.output, found, (wide) => listText(found, { colours, now: new Date(), wide }));
    if (found.some((migration) => migration.execution === 'RUNNING' && migration.state === null)) {
      terminal.note(
        'Some states are unknown: `godwit namespace setup` registers the search attributes they are kept in.',
      );
    }
    return EXIT.done;
  });
}
