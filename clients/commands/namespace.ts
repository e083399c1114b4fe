import { SEARCH_ATTRIBUTES } from '../../spec/messages.js';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { registerSearchAttributes, type Registration } from '../search-attributes.js';
import type { Terminal } from '../terminal.js';

export type NamespaceOptions = GlobalFlags & OutputFlags;

export async function setup(terminal: Terminal, options: NamespaceOptions): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const done = await registerSearchAttributes(temporal, Object.values(SEARCH_ATTRIBUTES));
    await print(terminal, options.output, { namespace: temporal.namespace, searchAttributes: done }, () => {
      const lines = done.map((registration) => line(registration, terminal));
      return [`Namespace ${temporal.namespace} at ${temporal.address}:`, ...lines].join('\n');
    });
    return EXIT.done;
  });
}

function line({ name, was }: Registration, { colours }: Terminal): string {
  return was === 'new' ? `  ${colours.green('registered')}  ${name} (Keyword)` : `  was there   ${name} (Keyword)`;
}
