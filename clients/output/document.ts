/** Answers for scripts: the same document as JSON or YAML, its keys always in the same order. */
import type { Terminal } from '../terminal.js';

export const FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

/** Writes `document` as the format asks, or what `human` makes of it. */
export async function print(terminal: Terminal, format: Format, document: unknown, human: (wide: boolean) => string) {
  switch (format) {
    case 'json':
      return terminal.out(JSON.stringify(document, null, 2));
    case 'yaml': {
      const { stringify } = await import('yaml');
      return terminal.out(stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 }).trimEnd());
    }
    case 'table':
    case 'wide':
      return terminal.out(human(format === 'wide'));
  }
}
