import { applySetting } from '../../spec/settable.js';
import { withTemporal } from '../connection.js';
import { CliError, UsageError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { MessageFlags } from '../flags.js';
import { send, whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import type { Terminal } from '../terminal.js';
import { viewMigration } from '../view.js';

export type SetOptions = MessageFlags;

export interface Assignment {
  path: string;
  value: string | null;
}

export async function set(terminal: Terminal, id: string, words: string[], options: SetOptions): Promise<ExitCode> {
  const assignments = words.map(parseAssignment);
  return withTemporal(options, terminal.env, async (temporal) => {
    const { status: before } = await viewMigration(temporal, id);
    // All of them are tried here first, so that a mistake in the second doesn't leave the first one set.
    if (before.spec !== null) {
      let trial = before.spec;
      for (const { path, value } of assignments) {
        const applied = applySetting(trial, path, value);
        if (!applied.ok) throw new UsageError(applied.error, ['nothing was changed']);
        trial = applied.normal;
      }
    }
    let status = before;
    for (const { path, value } of assignments) {
      status = await send(temporal, id, 'set', {
        path,
        value,
        by: options.by ?? whoAmI(terminal.env),
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      });
    }
    const last = status.messages.at(-1);
    if (last?.name === 'set' && last.outcome !== 'accepted') throw new CliError(last.outcome);
    await print(terminal, options.output, status, () =>
      assignments.map(({ path, value }) => `${terminal.colours.green('set')}  ${path} = ${value ?? 'none'}`).join('\n'),
    );
    return EXIT.done;
  });
}

/** `PATH=VALUE`; an empty value and `null` take a limit away. */
export function parseAssignment(word: string): Assignment {
  const at = word.indexOf('=');
  const path = word.slice(0, at).trim();
  if (at < 0 || path === '') {
    throw new UsageError(`\`${word}\` is no PATH=VALUE.`, ['for instance: databases.orders.copy.rateLimit=20MB']);
  }
  const value = word.slice(at + 1).trim();
  return { path, value: value === '' || value === 'null' ? null : value };
}
