/** Tables of columns without frames: they stay readable in a log, and survive a narrow terminal. */
import Table from 'cli-table3';
import type { Colours } from '../terminal.js';

const FRAMELESS = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
};

export function table(head: string[], rows: string[][], colours: Colours): string {
  const made = new Table({
    head: head.map((title) => colours.dim(title)),
    chars: FRAMELESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  made.push(...rows);
  return trimmed(made.toString());
}

/** Rows whose first column names the second. */
export function pairs(rows: [string, string][], colours: Colours): string {
  const made = new Table({
    chars: FRAMELESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  made.push(...rows.map(([name, value]) => [colours.dim(name), value]));
  return trimmed(made.toString());
}

export function indented(text: string, by = '  '): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? line : by + line))
    .join('\n');
}

function trimmed(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
